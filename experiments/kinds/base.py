"""The contract between the runner and a kind of experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from policies.registry import Registry

Scalar = int | float | str | bool | None


class Config(BaseModel):
    """Base of every kind's configuration: strict, frozen, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


@dataclass(frozen=True)
class Outcome:
    """What one run gives back.

    Attributes:
        metrics: name with unit -> value; the same names for every run of a kind. Values depend
            on the configuration alone (no times of day, no host names, no wall time), but for
            what kinds with promise L2 measure of this machine. What a kind
            with promise L2 measures of this machine is excepted.
        tables: name -> columns of equal length, for series over time or per-request rows.
        notes: sentences that a reader must know ("generated: trace absent").
        measured: figures of the run itself, such as simulated steps per second. They are kept
            with the provenance and never enter the exported metrics.
    """

    metrics: Mapping[str, Scalar]
    tables: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    measured: Mapping[str, float] = field(default_factory=dict)


class RunKind(Protocol):
    """One kind of run, such as "a pool of requests, in one order, through the batch engine".

    `name` is set by `@register`. `policies` is the registry whose names a manifest may list
    under `policies:` for this kind, or None if the kind compares no policies. `needs` names
    capabilities of `triptych doctor` without which no run of this kind can start. A kind in whose
    runs further policies of the same registry take part has a static method
    `other_policies(config) -> names`, so that changes of their code are noticed too. A kind whose
    runs read data that a machine may not have, and for which nothing can stand in, has a static
    method `lacks(config) -> messages` of a resolved configuration: what is absent and where to get
    it. Such runs are planned but not started. A kind whose runs time this machine sets `exclusive`:
    no other run of the session runs beside them. `recorded_series` names tables of its runs that a
    record keeps beside the metrics.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    policies: ClassVar[Registry[Any] | None]
    needs: ClassVar[tuple[str, ...]]
    metrics: ClassVar[Mapping[str, str]]
    """Name of each metric -> unit and meaning, for `--help`, manifests and the report."""

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Settle what depends on this machine, before the run's identity is taken.

        Invoked once per point of a sweep with the validated configuration as plain JSON values.
        A kind that reads an external trace replaces its name by name and SHA-256, or by the
        generator that stands in for it, so that results never mix.
        """
        ...

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Do the run. Invoked in a worker process with the resolved configuration.

        `config` holds `policy` (a name, or None) and `seed` (root seed, >= 0) beside the fields
        of `Config`. Import what is heavy inside. Raise to report failure.
        """
        ...


KINDS: Registry[Any] = Registry("experiments.kinds", "run kind")
register = KINDS.register
