"""Step costs of the hardware entry that `triptych calibrate` wrote, for `rates: calibrated`.

The entry is found by its file; what is computed with it belongs to the digest of its content.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paths import data_root, results_root
from serving.traces.catalog import digest
from serving.vllm.entry_file import VALUE_BYTES, HardwareEntry, read_entry

if TYPE_CHECKING:  # checking a manifest must not load numba
    from experiments.kinds.serving_config import ServingConfig
    from sim.gpu.step_cost import StepCosts

PREFIX = "dummy-"
"""Before the name of a decoder with dummy weights, where it stands among other models."""


def check(config: ServingConfig) -> None:
    """Refuse what an entry cannot be combined with.

    Raises:
        ValueError: so it is; the message names the field and what to set.
    """
    if config.profile is None:
        raise ValueError("profile: calibrated rates need the file that triptych calibrate wrote")
    if config.overlap.kind != "sum":
        raise ValueError("overlap: a calibrated machine overlaps nothing; set overlap: {kind: sum}")
    for name in ("gpus", "token_quantum"):
        if getattr(config, name) != 1:
            raise ValueError(f"{name}: a hardware entry is of one machine as it is; set it to 1")


def path_of(name: str) -> Path:
    """Return the file of an entry: a path, or in `results/hardware`, or in the data folder.

    Raises:
        ValueError: it is in none of them.
    """
    places = [results_root() / "hardware" / name, data_root() / name]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        looked = " or ".join(dict.fromkeys(map(str, places)))
        raise ValueError(f"profile: no hardware entry at {looked}; triptych calibrate writes one")
    return found


def settled(config: dict[str, Any]) -> dict[str, Any]:
    """Add the digest of the entry.

    Raises:
        ValueError: it is absent or damaged, or of another model or type than configured.
    """
    path = path_of(config["profile"])
    entry = _read(path)
    wanted = {"model": PREFIX + entry.model, "value_bytes": VALUE_BYTES[entry.dtype]}
    for name, value in wanted.items():
        if config[name] != value:
            told = f"{path} is of model {entry.model} in {entry.dtype}"
            raise ValueError(f"{name}: {told}; set {name}: {value}")
    found = digest(path)
    if config.get("profile_sha256") not in (None, found):
        raise ValueError(f"profile_sha256: {path} has another digest; leave it out to read it")
    return {**config, "profile_sha256": found}


def located(config: ServingConfig) -> HardwareEntry:
    """Return the entry of a run.

    Raises:
        ValueError: it is absent, damaged, or has changed since the run was planned.
    """
    path = path_of(str(config.profile))
    if config.profile_sha256 is not None and digest(path) != config.profile_sha256:
        raise ValueError(f"profile: {path} has changed: its SHA-256 is not that of this run")
    return _read(path)


def costs_of(config: ServingConfig) -> StepCosts:
    """Return the costs of a step; `located` says what is raised."""
    from serving.vllm.entry import costs_of_entry

    return costs_of_entry(located(config).terms, config.max_batched_tokens)


def _read(path: Path) -> HardwareEntry:
    try:
        return read_entry(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"profile: {error}") from None
