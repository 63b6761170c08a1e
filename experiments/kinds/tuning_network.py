"""Whole networks, as the kinds `tuning-model` and `tuning-codesign` run them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from experiments.kinds.serving_workloads import known
from experiments.kinds.tuning_bench import (
    objects_of,
    settings_of,
    spent_on,
)
from experiments.kinds.tuning_shapes import WarmConfig
from tuning.models import FAMILIES, MODELS
from tuning.models.variant import STAGES, Variant, aligned

if TYPE_CHECKING:
    from tuning.graph import BuiltModel
    from tuning.graph.session import Session
    from tuning.graph.variants import Kept

LARGEST_ERROR = 1e-3
"""Of an output's difference from PyTorch's, over the largest output."""


class NetworkConfig(WarmConfig):
    """Which network."""

    model: str = Field(description="Its name, such as resnet50.")
    batch: int = Field(default=1, ge=1, le=1024, description="Images per call.")
    image: int = Field(default=224, ge=32, le=1024, description="Height and width of images.")
    activation: Literal["relu", "gelu", "hardswish", "softplus", "silu"] = "relu"
    deepen: bool = Field(
        default=False, description="RepVGG: a 1x1 convolution after each 3x3 but the last."
    )
    widths: list[Annotated[int, Field(ge=1, le=1 << 14)]] | None = Field(
        default=None,
        min_length=STAGES,
        max_length=STAGES,
        description="RepVGG: channels of the five stages; the paper's if null.",
    )
    align: int = Field(
        default=1, ge=1, le=1024, description="RepVGG: multiple that `widths` are rounded up to."
    )
    family: str = Field(
        default="", max_length=40, description="What figures and claims group networks by."
    )
    pairs: bool = Field(default=True, description="Fuse back to back where profiled faster.")
    padding: bool = Field(default=True, description="Pad channels where profiled faster.")

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(_named, name)

    @model_validator(mode="after")
    def _of_repvgg(self) -> NetworkConfig:
        if (self.deepen or self.widths) and FAMILIES[self.model] != "repvgg":
            raise ValueError(f"deepen and widths are of RepVGG, not of {self.model}")
        if self.align > 1 and self.widths is None:
            raise ValueError("align: rounds `widths` up; give these too")
        return self

    def variant(self) -> Variant:
        """Return what differs from the paper's network."""
        widths = aligned(tuple(self.widths), self.align) if self.widths else None
        return Variant(self.activation, self.deepen, widths, self.image)


def _named(name: str) -> str:
    from policies.registry import UnknownNameError

    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return name


@dataclass(frozen=True)
class Networks:
    """Built forms of one network and its input.

    Attributes:
        eager: the PyTorch module.
        image: the input, a torch tensor in NCHW.
        built: with the passes, or without pairs and padding, or (if `plain` was asked for) without
            any pass, where that is faster as a whole beyond noise.
        bare: other builds to compare with, by name: `epilogues` (fused epilogues, neither pairs
            nor padding; `built` itself if nothing else was applied) and `plain` (no pass).
        passes_gain: the time without pairs and padding over that with them, as measured before
            the faster was kept; 1 if none was applied.
        build_s: wall-clock seconds until `built` was there, tuning included.
        spent: the metrics `SPENT` until then.
        notes: what was found out about the whole and is no decision on an operator.
        worst_error: largest difference from PyTorch, over PyTorch's largest output.
    """

    eager: Any
    image: Any
    built: BuiltModel
    bare: dict[str, BuiltModel]
    passes_gain: float
    build_s: float
    spent: dict[str, float | int]
    worst_error: float
    notes: tuple[str, ...] = ()


@contextmanager
def session_in(folder: Path, config: NetworkConfig, search: str, seed: int) -> Iterator[Session]:
    """Yield a session whose records and decisions are in `folder`."""
    from tuning.graph.session import Session
    from tuning.templates.cpu.library import CpuTemplates

    library = CpuTemplates(config.isa, config.threads)
    settings, objects = settings_of(config, seed), objects_of(config, folder)
    with Session(library, settings, folder, search, config.budget(), objects) as session:
        yield session


def build(config: NetworkConfig, session: Session, seed: int, plain: bool = False) -> Networks:
    """Return the network, tuned and built.

    Raises:
        GraphError: it cannot be built.
        NothingMeasuredError: an operator has no kernel.
        RuntimeError: its output is not PyTorch's.
    """
    import torch

    from tuning.graph import import_torch
    from tuning.graph.session import Passes
    from tuning.graph.variants import fastest
    from tuning.models import model

    eager = model(config.model, seed, config.variant())
    luck = torch.Generator().manual_seed(seed)
    image = torch.randn((config.batch, 3, config.image, config.image), generator=luck)
    start = time.monotonic()
    module = import_torch(eager, image)
    passes = Passes(fuse_pairs=config.pairs, pad=config.padding)
    kept = session.build_fastest(module, passes)
    build_s = time.monotonic() - start
    spent = spent_on(session.tuned.values())  # before anything is built only to compare with
    error = _error(eager, image, kept.model)
    if not error < LARGEST_ERROR:
        raise RuntimeError(f"{config.model}: output differs from PyTorch's by {error:.2g} of it")
    built, bare, notes = kept.model, {}, ()
    if plain:
        bare["epilogues"] = built
        if any(decision.applied for decision in built.decisions):
            given = import_torch(eager, image)
            bare["epilogues"] = session.build(given, Passes(fuse_pairs=False, pad=False))
        bare["plain"] = session.build(import_torch(eager, image), Passes(False, False, False))
        whole = fastest({"passes": built, "none": bare["plain"]})
        if whole.name == "none":  # then finding out belongs to tuning
            built, build_s = whole.model, time.monotonic() - start
            spent, error = spent_on(session.tuned.values()), _error(eager, image, built)
            notes = (f"no pass is applied, epilogues included: {_against(whole)}",)
    ns = kept.median_ns
    gain = ns["without"] / ns["passes"] if "without" in ns else 1.0
    return Networks(eager, image, built, bare, gain, build_s, spent, error, notes)


def _against(whole: Kept) -> str:
    with_ms, none_ms = (whole.median_ns[name] / 1e6 for name in ("passes", "none"))
    return f"the whole takes {none_ms:.4g} ms so, {with_ms:.4g} ms with them"


def _error(eager: Any, image: Any, built: BuiltModel) -> float:
    import numpy as np
    import torch

    with torch.no_grad():
        wanted = eager(image).numpy()
    found = built.run(image.numpy())
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def pairs_in(model: BuiltModel) -> int:
    """Return how many of the kernels that run are back-to-back pairs."""
    from tuning.operators import Pair

    return sum(isinstance(layer.operator, Pair) for layer in model.layers)


def padded_in(model: BuiltModel) -> int:
    """Return how many of the kernels that run are padded operators."""
    chosen = [d.choice for d in model.decisions if d.kind == "padding" and d.applied]
    padded = {choice.instead for choice in chosen}
    return sum(layer.operator in padded for layer in model.layers)
