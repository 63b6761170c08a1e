"""Pools of requests that a manifest of the serving panel can ask for.

`serving_pools` makes them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config
from policies.registry import UnknownNameError
from serving.traces.catalog import TRACES, entry_named
from serving.traces.clients import clients_named
from sim.gpu.models import model_named

MIX_BLOCK_TOKENS = 8
USUAL_BLOCK_TOKENS = 16
MOONCAKE_BLOCK_TOKENS = TRACES["mooncake-conversation"].block_tokens
MAX_REQUESTS = 5_000_000
SHA256 = "^[0-9a-f]{64}$"

Format = Literal["jsonl", "mooncake", "azure", "vidur", "burstgpt"]
SourceName = Literal["burstgpt", "azure", "sharegpt", "wildchat"]
REAL_SOURCES: dict[str, SourceName] = {
    "azure-code-2023": "azure",
    "sharegpt-300": "sharegpt",
    "burstgpt-1": "burstgpt",
}
"""Traces whose lengths a mix can take, and the source drawn instead where one is absent."""


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
        pattern=SHA256,
        description="Digest of the file; filled in when resolved.",
    )

    @field_validator("name")
    @classmethod
    def _in_catalogue(cls, name: str) -> str:
        return known(entry_named, name)

    def usual_block_tokens(self) -> int:
        """Return the block size where the manifest names none: the trace's own."""
        return TRACES[self.name].block_tokens

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on."""
        return self.model_dump()


class FileWorkload(Config):
    """Requests of a file of the user's own, whole or a random window of it."""

    kind: Literal["file"]
    path: str = Field(description="The file; a relative path begins where the command is run.")
    format: Format = Field(default="jsonl", description="What it looks like.")
    requests: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUESTS,
        description="Length of a window drawn by the seed; all if null.",
    )
    sha256: str | None = Field(
        default=None,
        pattern=SHA256,
        description="Digest of the file; filled in when resolved.",
    )

    def usual_block_tokens(self) -> int:
        """Return the usual 16; Mooncake's blocks where its format has hashes of them."""
        return MOONCAKE_BLOCK_TOKENS if self.format == "mooncake" else USUAL_BLOCK_TOKENS

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on: the content, wherever it lies."""
        return self.model_dump(exclude={"path"})


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

    def usual_block_tokens(self) -> int:
        """Return the block size where the manifest names none: the trace's own."""
        return TRACES[self.name].block_tokens

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on."""
        return self.model_dump()


class MixWorkload(Config):
    """A compute-heavy source + MMLU + OpenVid, mixed to a density and a sharing ratio."""

    kind: Literal["mix"]
    density: float = Field(
        default=1.4, gt=0, le=20, description="(1 - s) T_comp / T_mem of the pool."
    )
    density_for: str = Field(
        default="llama-3-8b",
        description="Model for which the density is meant, on A100s at data-sheet rates.",
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
    compute_source: SourceName | Literal["azure-code-2023", "sharegpt-300", "burstgpt-1"] = Field(
        default="burstgpt",
        description="Compute-heavy part: a generator, or a trace whose lengths are drawn (its"
        " generator where the trace is absent).",
    )
    compute_sha256: str | None = Field(
        default=None,
        pattern=SHA256,
        description="Digest of that trace, filled in when resolved; null draws from the generator.",
    )

    @field_validator("density_for")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(model_named, name)

    def usual_block_tokens(self) -> int:
        """Return 8: system prompts are short."""
        return MIX_BLOCK_TOKENS

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on.

        The default source is left out, so that its draws are those of the time when there was no
        choice; so is the model that the density is for, which decides how many draws are taken.
        """
        fields = self.model_dump(exclude={"compute_sha256", "density_for"})
        if self.compute_source == "burstgpt":
            del fields["compute_source"]
        return fields


class SourceWorkload(Config):
    """One generated source alone, with its published lengths."""

    kind: Literal["source"]
    name: SourceName | Literal["mmlu", "openvid", "openvid-raw"] = Field(
        description="Source; openvid has the mean output of the mixes, openvid-raw the published."
    )
    requests: int = Field(default=20_000, ge=1, le=MAX_REQUESTS, description="Pool size.")

    def usual_block_tokens(self) -> int:
        """Return 8, as in mixes."""
        return MIX_BLOCK_TOKENS

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on."""
        return self.model_dump()


class ClientsWorkload(Config):
    """Lengths drawn from the published distributions of a set of clients."""

    kind: Literal["clients"]
    name: str = Field(description="Name of the set: reason-deepseek-r1.")
    requests: int = Field(default=20_000, ge=1, le=MAX_REQUESTS, description="Pool size.")
    sha256: str | None = Field(
        default=None, pattern=SHA256, description="Digest of the folder; filled in when resolved."
    )

    @field_validator("name")
    @classmethod
    def _in_catalogue(cls, name: str) -> str:
        return known(clients_named, name)

    def usual_block_tokens(self) -> int:
        """Return the usual 16."""
        return USUAL_BLOCK_TOKENS

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on."""
        return self.model_dump()


class AdversarialWorkload(Config):
    """A pool made to be hard for an order."""

    kind: Literal["adversarial"]
    pool: Literal["alike", "unique", "giant_prefix", "heavy_tail", "opposed", "deep_chain"] = Field(
        description="Which; serving/adversarial.py says what each asks."
    )
    requests: int = Field(default=20_000, ge=1, le=MAX_REQUESTS, description="Pool size.")

    def usual_block_tokens(self) -> int:
        """Return the usual 16."""
        return USUAL_BLOCK_TOKENS

    def identity(self) -> dict[str, Any]:
        """Return what the workload's chance depends on."""
        return self.model_dump()


Workloads = Annotated[
    TraceWorkload
    | FileWorkload
    | StandinWorkload
    | MixWorkload
    | SourceWorkload
    | ClientsWorkload
    | AdversarialWorkload,
    Field(discriminator="kind"),
]
