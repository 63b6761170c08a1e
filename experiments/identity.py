"""Identity of a run: SHA-256 over what it is, not over the code that does it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from experiments.manifest import Limits
from sim.streams import canonical_json

SCHEMA_VERSION = 1


def run_id(kind: str, config: dict[str, Any]) -> str:
    """Return the hexadecimal SHA-256 of a resolved run.

    Raises:
        ValueError: the configuration holds a number that is not finite.
    """
    identity = {"schema": SCHEMA_VERSION, "kind": kind, "config": config}
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


@dataclass(frozen=True)
class RunSpec:
    """One planned run.

    Attributes:
        id: `run_id(kind, config)`.
        config: resolved configuration, with `policy` and `seed`.
        point: the axis values that made it, for tables and figures.
        fingerprint: hash of the source files that compute it.
    """

    id: str
    kind: str
    config: dict[str, Any]
    point: dict[str, Any]
    fingerprint: str
    limits: Limits
    needs: tuple[str, ...] = ()
