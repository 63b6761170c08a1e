"""Run kind `serving-replay`: a recorded run of vLLM, again, on a measured kernel profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import known
from serving.profiles import catalog
from serving.profiles.files import Kind, digest_of
from serving.traces.catalog import TRACES, digest
from sim.gpu.models import model_named

SUMMARISED = {
    "latency": "s; queueing to last token",
    "ttft": "s; queueing to first token",
    "tpot": "s; first to last token over tokens after the first",
}
STATISTICS = ("mean", "p50", "p90", "p95")


def _metrics() -> dict[str, str]:
    compared = {
        "makespan_s": "s; first queueing to last token",
        "throughput_tokens_s": "tokens/s; (input + output) / makespan",
        **{
            f"{name}_{s}_s": f"{text}; {s}" for name, text in SUMMARISED.items() for s in STATISTICS
        },
    }
    errors = {f"{name}_error": f"1; of {name}: ours / recorded - 1" for name in compared}
    return (
        compared
        | errors
        | {
            "running_error": "requests; mean absolute difference at the recorded ticks",
            "waiting_error": "requests; the same of waiting ones",
            "kv_share_error": "1; the same of the share of KV blocks in use",
            "preemptions": "requests preempted, counted each time",
            "steps": "batch steps",
            "requests_done": "requests",
        }
    )


class ReplayConfig(Config):
    """Configuration of `serving-replay`."""

    profile: str = Field(
        default="llmservingsim-rtx4090",
        description="Kernel profile: a name in the catalogue, or a folder.",
    )
    run: str = Field(
        default="vllm-rtx4090", description="Recorded run: a name in the catalogue, or a folder."
    )
    dataset: str | None = Field(
        default=None,
        description="File of the requests; if null, the catalogued trace that has the digest"
        " which the run recorded.",
    )
    model: str = Field(default="llama-3-8b", description="Shape of the language model.")
    arrivals: Literal["queued", "trace"] = Field(
        default="queued",
        description="When requests come: as vLLM's core took them in, or as the trace says.",
    )
    jitter_s: float = Field(
        default=0.0, ge=0, le=10, description="Each comes up to so much later, drawn by the seed."
    )
    graphs: bool = Field(
        default=True, description="Steps are padded to captured CUDA graphs, as recorded."
    )
    lagging: bool = Field(
        default=True, description="The engine schedules a step ahead, if the recorded one did."
    )
    profile_sha256: str | None = Field(default=None, description="Filled in when resolved.")
    run_sha256: str | None = Field(default=None, description="Filled in when resolved.")

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(model_named, name)


@register("serving-replay")
class ServingReplay:
    """Runs the batch engine as a recorded engine was set up, and compares."""

    Config: ClassVar[type[ReplayConfig]] = ReplayConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = _metrics()

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the digests of what is there; make paths absolute.

        Raises:
            ValueError: a path does not exist or lacks a file.
        """
        settled = dict(config)
        kinds: dict[str, Kind] = {"profile": "kernels", "run": "run"}
        for field, kind in kinds.items():
            settled[field], found = _found(config[field], kind)
            settled[f"{field}_sha256"] = config.get(f"{field}_sha256") or found
        if config["dataset"] is not None:
            settled["dataset"] = str(Path(config["dataset"]).absolute())
        return settled

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the data that are not on this machine."""
        absent = [config[f] for f in ("profile", "run") if config[f"{f}_sha256"] is None]
        return tuple(catalog.missing_message(name) for name in absent)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read, simulate, compare."""
        from experiments.kinds import serving_replay_measures as measures

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        return measures.outcome(ReplayConfig.model_validate(fields), int(config["seed"]))


def _found(name: str, kind: Kind) -> tuple[str, str | None]:
    """Return the entry's name or the absolute path, and its digest if it is there."""
    if name not in catalog.PROFILES and Path(name).exists():
        name = str(Path(name).absolute())
    path = catalog.locate(name, kind)
    return name, None if path is None else digest_of(kind, path)


def dataset_of(config: ReplayConfig, sha256: str) -> Path:
    """Return the file of requests whose digest the run recorded.

    Raises:
        ValueError: there is none.
    """
    from serving.traces.catalog import data_folder

    if config.dataset is not None:
        path = Path(config.dataset)
    else:
        known_ones = [entry.path for entry in TRACES.values() if entry.sha256 == sha256]
        if not known_ones:
            raise ValueError(f"dataset: no catalogued trace has the digest {sha256}; give its file")
        path = data_folder() / known_ones[0]
    if not path.is_file() or digest(path) != sha256:
        raise ValueError(f"dataset: {path} is not the file with the recorded digest {sha256}")
    return path
