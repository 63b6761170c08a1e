"""One record: what was measured, under which circumstances, as one line of JSON."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tuning.compile import toolchain
from tuning.operators import Conv2d, Operator, Pair
from tuning.profile.settings import ProfileSettings
from tuning.space import Candidate, Measurement
from tuning.templates.base import TemplateLibrary

SCHEMA = 1
STATUSES = ("ok", "rejected", "compile_error", "crashed", "timeout", "wrong")
_WIDEST = 16
_DIGITS = 24
_DAY_NS = 86_400 * 10**9
_TIMES = ("median_ns", "low_ns", "high_ns", "compile_s", "measure_s")


@dataclass(frozen=True)
class RecordKey:
    """What must be equal for a measurement to hold.

    Attributes:
        operator: its plain description (shape and epilogue) as JSON with sorted keys.
        dtypes: of each operand.
        layouts: of the tensors.
        alignment: the largest power of two up to 16 that divides every innermost extent.
        library: the template library's name.
        version: its version.
        toolchain: the compiler's name and version.
        device: the device's name, instruction set included.
        threads: that kernels may use.
        cache: `warm` or `cold`.
        checked: whether numbers were compared with the reference.
    """

    operator: str
    dtypes: str
    layouts: str
    alignment: int
    library: str
    version: str
    toolchain: str
    device: str
    threads: int
    cache: str
    checked: bool

    @classmethod
    def of(
        cls, operator: Operator, library: TemplateLibrary, settings: ProfileSettings
    ) -> RecordKey:
        """Return the key of measurements of `operator`, taken here and now.

        Raises:
            ProgramError: the library's compiler is missing or does not work.
        """
        operands = operator.operands()
        return cls(
            operator=canonical(operator.to_dict()),
            dtypes=" ".join(f"{operand.name}={operand.dtype}" for operand in operands),
            layouts=_layouts(operator),
            alignment=math.gcd(_WIDEST, *(operand.shape[-1] for operand in operands)),
            library=library.name,
            version=library.version,
            toolchain=toolchain(library.compiler),
            device=library.device.name,
            threads=settings.threads,
            cache=settings.cache,
            checked=settings.check,
        )

    @functools.cached_property
    def digest(self) -> str:
        """The first digits of the SHA-256 of all fields; lines are found by it."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class Entry:
    """One record.

    Attributes:
        key: under which circumstances.
        measurement: what became of the candidate.
        at_ns: when, in nanoseconds since 1970; of two records of a candidate the later counts.
        final: whether it comes from the last comparison of the best ones, which decides.
    """

    key: RecordKey
    measurement: Measurement
    at_ns: int
    final: bool = False

    @property
    def candidate(self) -> str:
        """The candidate's text, which tells `true` from 1 where `==` does not."""
        return text_of(self.measurement.candidate)

    def is_below(self, least_ns: float) -> bool:
        """Return whether it claims a time shorter than that."""
        return self.measurement.ok and self.measurement.median_ns < least_ns

    def line(self) -> bytes:
        """Return the record as a line, the newline left out.

        Raises:
            ValueError: a time is negative or not a number.
        """
        _check(self.measurement)
        told = asdict(self.measurement) | {"candidate": self.measurement.candidate.to_dict()}
        values = {
            "schema": SCHEMA,
            "id": self.key.digest,
            "at_ns": self.at_ns,
            "final": self.final,
            "key": asdict(self.key),
            "measurement": told,
        }
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """Return the record in a line.

        Raises:
            ValueError: there is none; the message says why in a few words.
        """
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError("not JSON") from None
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            raise ValueError(f"no record of schema {SCHEMA}")
        try:
            key = RecordKey(**_typed(RecordKey, values["key"]))
            told = dict(values["measurement"])
            candidate = Candidate.from_dict(told.pop("candidate"))
            measurement = Measurement(**_typed(Measurement, told | {"candidate": candidate}))
            at_ns, final = values["at_ns"], values["final"]
        except KeyError as error:
            raise ValueError(f"{error} is missing") from None
        except TypeError:
            raise ValueError("a part is of another type") from None
        if type(at_ns) is not int or type(final) is not bool:
            raise ValueError("at_ns or final is of another type")
        if not 0 <= at_ns <= time.time_ns() + _DAY_NS:  # it would be the newest for ever
            raise ValueError("at_ns is not in the past")
        _check(measurement)
        if key.digest != values.get("id"):
            raise ValueError("id does not belong to its key")
        return cls(key, measurement, at_ns, final)


def canonical(values: Mapping[str, Any]) -> str:
    """Return JSON that is equal for equal values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def text_of(candidate: Candidate) -> str:
    """Return text that is equal for candidates of equal values of equal types."""
    return canonical(candidate.to_dict())


def _layouts(operator: Operator) -> str:
    if isinstance(operator, Pair):
        return f"{_layouts(operator.first)}, {_layouts(operator.second)}"
    return "NHWC OHWI NHWC" if isinstance(operator, Conv2d) else "row-major"


def _typed(cls: type, values: Any) -> dict[str, Any]:
    """Return `values` if they are the fields of a dataclass, with values of their types."""
    if not isinstance(values, dict) or set(values) != {field.name for field in fields(cls)}:
        raise ValueError(f"fields are not those of a {cls.__name__}")
    types = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)}
    found = {}
    for field in fields(cls):
        found[field.name] = value = values[field.name]
        if type(value) not in types.get(str(field.type), (Candidate,)):
            raise ValueError(f"{field.name} is of another type")
        if str(field.type) == "float":
            found[field.name] = _float(field.name, value)
    return found


def _float(name: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large a number") from None


def _check(measurement: Measurement) -> None:
    for name in _TIMES:
        value = getattr(measurement, name)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}, not a time")
    if measurement.status not in STATUSES:
        raise ValueError(f"status is none of {', '.join(STATUSES)}")
    if measurement.samples < 0 or (measurement.ok and not measurement.median_ns > 0):
        raise ValueError("a candidate that ran has no time")
