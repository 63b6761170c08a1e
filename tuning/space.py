"""What a search decides on: candidates, the space they come from, measurements of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tuning.operators import Operator

Value = int | str | bool

OUT_OF_BUDGET = "out of budget"
"""Message of a candidate that is `rejected` because trials or seconds were spent."""


@dataclass(frozen=True)
class Candidate:
    """One instance of a template: parameters that are compiled in and such that are arguments.

    Attributes:
        template: name of the template, such as `gemm`, `conv2d`, `pair`.
        compiled: (name, value), sorted by name; what the source is rendered from. Candidates
            that are equal in it (and have the same epilogue) share one compiled object.
        runtime: (name, value), sorted; handed to the kernel when it is called, such as cache
            blocks and threads.
    """

    template: str
    compiled: tuple[tuple[str, Value], ...]
    runtime: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(
        cls, template: str, compiled: Mapping[str, Value], runtime: Mapping[str, Value]
    ) -> Candidate:
        """Return the candidate with these parameters."""
        return cls(template, tuple(sorted(compiled.items())), tuple(sorted(runtime.items())))

    @property
    def params(self) -> dict[str, Value]:
        """All parameters by name."""
        return dict(self.compiled) | dict(self.runtime)

    def text(self) -> str:
        """Return a short name: template and parameters."""
        values = " ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.template} {values}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `from_dict` makes the same candidate."""
        return {
            "template": self.template,
            "compiled": dict(self.compiled),
            "runtime": dict(self.runtime),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `to_dict` described.

        Raises:
            ValueError: `data` describes none.
        """
        try:
            template, parts = data["template"], (data["compiled"], data["runtime"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"candidate: no {error}") from None
        if not isinstance(template, str):
            raise ValueError("candidate: template is not text")
        for part in parts:
            if not isinstance(part, Mapping) or not all(
                isinstance(value, int | str) for value in part.values()
            ):
                raise ValueError("candidate: parameters are whole numbers, words or true/false")
        return cls.of(template, *parts)


@dataclass(frozen=True)
class Measurement:
    """What became of one candidate.

    Attributes:
        candidate: which.
        status: `ok`, or why there is no time: `rejected` (not legal for the operator),
            `compile_error`, `crashed`, `timeout`, `wrong` (its numbers are).
        median_ns: median time of one call; 0 unless `ok`.
        low_ns: first quartile.
        high_ns: third quartile.
        samples: number of timed samples.
        compile_s: seconds of compiling on its account, 0 when the object was there.
        measure_s: seconds of running it, warm-up and check included.
        message: reason, if not `ok`.
    """

    candidate: Candidate
    status: str
    median_ns: float = 0.0
    low_ns: float = 0.0
    high_ns: float = 0.0
    samples: int = 0
    compile_s: float = 0.0
    measure_s: float = 0.0
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a time."""
        return self.status == "ok"


@dataclass(frozen=True)
class Device:
    """What a search may know about the device.

    Attributes:
        name: as the hardware table or the system names it.
        vector_floats: float32 lanes of a vector register.
        vector_registers: architectural vector registers.
        cores: threads that kernels may use.
        l1_bytes: data cache per core.
        l2_bytes: second-level cache per core.
        l3_bytes: last-level cache, shared.
        flops: peak float32 operations per second and core.
        bandwidth_bytes_s: memory bandwidth that all cores share.
    """

    name: str
    vector_floats: int
    vector_registers: int
    cores: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    flops: float
    bandwidth_bytes_s: float


class Space(Protocol):
    """A template library seen by a search: what there is to choose from for an operator."""

    @property
    def device(self) -> Device:
        """The device that candidates run on."""
        ...

    def candidates(self, operator: Operator) -> Sequence[Candidate]:
        """Return every legal candidate, in a fixed order."""
        ...

    def native(self, operator: Operator) -> Sequence[Candidate]:
        """Return the tens that the vendor's guidelines leave, best guess first (heuristics)."""
        ...

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        """Return the analytical model's seconds for one call."""
        ...


def best_of(measurements: Sequence[Measurement]) -> Measurement | None:
    """Return the fastest that ran, or None."""
    return min((m for m in measurements if m.ok), key=lambda m: m.median_ns, default=None)
