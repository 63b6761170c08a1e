"""Pools of requests that a manifest of the serving panel can ask for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config
from policies.registry import UnknownNameError
from serving.traces.catalog import TRACES, entry_named

MIX_BLOCK_TOKENS = 8
MAX_REQUESTS = 5_000_000


def known(lookup: Any, name: str) -> str:
    """Return `name` if `lookup` knows it.

    Raises:
        ValueError: it does not; the message offers the nearest name.
    """
    try:
        lookup(name)
    except UnknownNameError as error:
        raise ValueError(str(error)) from None
    return name


class TraceWorkload(Config):
    """Requests of a public trace, whole or a random window of it."""

    kind: Literal["trace"]
    name: str = Field(description="Name in the catalogue of traces.")
    requests: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUESTS,
        description="Length of a window drawn by the seed; all if null.",
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Digest of the file; filled in when resolved.",
    )

    @field_validator("name")
    @classmethod
    def _in_catalogue(cls, name: str) -> str:
        return known(entry_named, name)


class StandinWorkload(Config):
    """A generated pool with a trace's published means and sharing."""

    kind: Literal["standin"]
    name: str = Field(description="Name of the trace that it stands in for.")
    requests: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUESTS,
        description="Pool size; as many as the trace has if null.",
    )

    @field_validator("name")
    @classmethod
    def _has_generator(cls, name: str) -> str:
        if not TRACES[known(entry_named, name)].has_standin:
            raise ValueError(f"no stand-in is known for trace {name!r}")
        return name


class MixWorkload(Config):
    """BurstGPT + MMLU + OpenVid, mixed to a density and a sharing ratio."""

    kind: Literal["mix"]
    density: float = Field(
        default=1.4, gt=0, le=20, description="(1 - s) T_comp / T_mem of the pool."
    )
    sharing: float = Field(
        default=0.35, ge=0, lt=1, description="s, share of T_comp saved by sharing."
    )
    requests: int = Field(default=400_000, ge=50, le=MAX_REQUESTS, description="Pool size.")
    min_videos: int = Field(
        default=40,
        ge=1,
        description="Shorten video outputs until at least so many videos come out.",
    )


Workloads = Annotated[TraceWorkload | StandinWorkload | MixWorkload, Field(discriminator="kind")]
