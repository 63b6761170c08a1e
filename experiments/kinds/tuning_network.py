"""Whole networks, as the kinds `tuning-model` and `tuning-codesign` run them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from experiments.kinds.serving_workloads import known
from experiments.kinds.tuning_bench import Bench, interleaved, middle
from experiments.kinds.tuning_shapes import TuningConfig
from tuning.models import MODELS
from tuning.models.variant import Variant

if TYPE_CHECKING:
    from tuning.graph import BuiltModel, GraphOptions

LAYOUTS = {"eager NCHW": "contiguous_format", "eager NHWC": "channels_last"}
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


def build(config: NetworkConfig, place: Bench, plain: bool) -> Networks:
    """Return the network, tuned and built.

    Raises:
        GraphError: it cannot be built.
        RuntimeError: its output is not PyTorch's.
    """
    import torch

    from tuning.graph import GraphOptions
    from tuning.models import model

    eager = model(config.model, place.seed, config.variant())
    luck = torch.Generator().manual_seed(place.seed)
    image = torch.randn((config.batch, 3, config.image, config.image), generator=luck)
    start = time.monotonic()
    built = _built(eager, image, place, _options(config, place))
    build_s = time.monotonic() - start
    error = _error(eager, image, built)
    if not error < 1e-3:
        raise RuntimeError(f"{config.model}: output differs from PyTorch's by {error:.2g} of it")
    bare = _built(eager, image, place, GraphOptions(fuse_epilogues=False)) if plain else None
    return Networks(eager, image, built, bare, build_s, error)


def _built(eager: Any, image: Any, place: Bench, options: GraphOptions) -> BuiltModel:
    from tuning.graph import import_torch, optimise

    module = import_torch(eager, image)
    return optimise(module, place.tune, place.library, options, place.objects)


def _options(config: NetworkConfig, place: Bench) -> GraphOptions:
    from tuning.graph import GraphOptions
    from tuning.graph.deciders import pad_decider, pair_decider

    race = place.race()
    return GraphOptions(
        decide_pair=pair_decider(place.tune, race) if config.pairs else None,
        decide_padding=pad_decider(place.tune, race) if config.padding else None,
    )


def _error(eager: Any, image: Any, built: BuiltModel) -> float:
    import numpy as np
    import torch

    with torch.no_grad():
        wanted = eager(image).numpy()
    found = built.run(image.numpy())
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


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
