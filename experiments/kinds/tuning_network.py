"""Whole networks, as the kinds `tuning-model` and `tuning-codesign` run them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from experiments.kinds.serving_workloads import known
from experiments.kinds.tuning_bench import interleaved, middle, objects_of, settings_of
from experiments.kinds.tuning_shapes import TuningConfig
from policies.search.base import Budget
from tuning.models import MODELS
from tuning.models.variant import Variant

if TYPE_CHECKING:
    from tuning.graph import BuiltModel
    from tuning.graph.session import Session

LAYOUTS = {"eager NCHW": "contiguous_format", "eager NHWC": "channels_last"}
LARGEST_ERROR = 1e-3
"""Of an output's difference from PyTorch's, over the largest output."""
SETTLE_S = 0.03
"""Pause before each timed call: threads of the pool that ran before stop spinning by then."""


class NetworkConfig(TuningConfig):
    """Which network."""

    model: str = Field(description="Its name, such as resnet50.")
    batch: int = Field(default=1, ge=1, le=1024, description="Images per call.")
    image: int = Field(default=224, ge=32, le=1024, description="Height and width of images.")
    activation: Literal["relu", "gelu", "hardswish", "softplus", "silu"] = "relu"
    deepen: bool = Field(
        default=False, description="RepVGG: a 1x1 convolution after each 3x3 but the last."
    )
    pairs: bool = Field(default=True, description="Fuse back to back where profiled faster.")
    padding: bool = Field(default=True, description="Pad channels where profiled faster.")

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(_named, name)

    def variant(self) -> Variant:
        """Return what differs from the paper's network."""
        return Variant(activation=self.activation, deepen=self.deepen, image=self.image)


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
        built: with the passes.
        plain: without them, None if not asked for.
        build_s: wall-clock seconds until `built` was there, tuning included.
        worst_error: largest difference from PyTorch, over PyTorch's largest output.
    """

    eager: Any
    image: Any
    built: BuiltModel
    plain: BuiltModel | None
    build_s: float
    worst_error: float


@contextmanager
def session_in(folder: Path, config: NetworkConfig, search: str, seed: int) -> Iterator[Session]:
    """Yield a session whose records and decisions are in `folder`."""
    from tuning.graph.session import Session
    from tuning.templates.cpu.library import CpuTemplates

    library = CpuTemplates(config.isa, config.threads)
    settings, objects = settings_of(config, seed), objects_of(config, folder)
    budget = Budget(config.trials, config.budget_s)
    with Session(library, settings, folder, search, budget, objects) as session:
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
    from tuning.models import model

    eager = model(config.model, seed, config.variant())
    luck = torch.Generator().manual_seed(seed)
    image = torch.randn((config.batch, 3, config.image, config.image), generator=luck)
    start = time.monotonic()
    module = import_torch(eager, image)
    passes = Passes(fuse_pairs=config.pairs, pad=config.padding)
    built = session.build_fastest(module, passes).model
    build_s = time.monotonic() - start
    error = _error(eager, image, built)
    if not error < LARGEST_ERROR:
        raise RuntimeError(f"{config.model}: output differs from PyTorch's by {error:.2g} of it")
    bare = session.build(import_torch(eager, image), Passes(False, False, False)) if plain else None
    return Networks(eager, image, built, bare, build_s, error)


def _error(eager: Any, image: Any, built: BuiltModel) -> float:
    import numpy as np
    import torch

    with torch.no_grad():
        wanted = eager(image).numpy()
    found = built.run(image.numpy())
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def applied(networks: Networks, kind: str) -> int:
    """Return how many decisions of a kind (`pair`, `padding`) were applied."""
    return sum(d.kind == kind and d.choice.applied for d in networks.built.decisions)


def race_networks(networks: Networks, threads: int, samples: int) -> dict[str, list[float]]:
    """Return ns per call of `ours`, PyTorch in either layout, and `plain` if any, timed in turn."""
    import torch
    import tvm

    os.environ["TVM_NUM_THREADS"] = str(threads)
    tvm.get_global_func("runtime.config_threadpool")(1, threads)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    given = tvm.runtime.tensor(networks.image.numpy())
    calls: dict[str, Any] = {"ours": lambda: networks.built.call(given)}
    for name, layout in LAYOUTS.items():
        calls[name] = _eager(networks, getattr(torch, layout))
    if (plain := networks.plain) is not None:
        calls["plain"] = lambda: plain.call(given)
    try:
        return interleaved(calls, samples, settle_s=SETTLE_S)
    finally:
        torch.set_num_threads(before)


def _eager(networks: Networks, layout: Any) -> Callable[[], None]:
    """Return PyTorch's own execution, its weights and input laid out ahead."""
    from copy import deepcopy

    import torch

    network = deepcopy(networks.eager).to(memory_format=layout)
    image = networks.image.contiguous(memory_format=layout)

    def call() -> None:
        with torch.inference_mode():
            network(image)

    return call


def times_of(samples: dict[str, list[float]]) -> dict[str, float]:
    """Return the median in ms of `ours`, `plain` if any, and `eager`: PyTorch's better layout."""
    found = {name: middle(values) / 1e6 for name, values in samples.items()}
    return found | {"eager": min(found[name] for name in LAYOUTS)}
