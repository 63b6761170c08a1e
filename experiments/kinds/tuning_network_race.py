"""One call of a network in turn: built here, without passes, and PyTorch's own ways."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from experiments.kinds.tuning_bench import interleaved, middle
from experiments.kinds.tuning_network import Networks
from tuning.rivals.base import SHORT_SPINS

FROZEN = "frozen"
LAYOUTS = {"eager NCHW": "contiguous_format", "eager NHWC": "channels_last"}
SETTLE_S = 0.03
"""Pause before each timed call: threads of the pool that ran before stop spinning by then."""


def race_networks(
    networks: Networks, threads: int, samples: int, base: Any = None
) -> dict[str, list[float]]:
    """Return ns per call of `ours`, the other builds and PyTorch's ways, timed in turn.

    `base` is a PyTorch module that takes the same input; eager PyTorch runs it too, as a yardstick
    for comparisons with other runs: a drift of the machine between runs meets it as well.
    """
    import torch
    import tvm

    os.environ["TVM_NUM_THREADS"] = str(threads)
    os.environ.update(SHORT_SPINS)
    tvm.get_global_func("runtime.config_threadpool")(1, threads)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    given = tvm.runtime.tensor(networks.image.numpy())
    calls: dict[str, Any] = {"ours": lambda: networks.built.call(given)}
    for name, layout in LAYOUTS.items():
        calls[name] = _eager(networks.eager, networks.image, getattr(torch, layout))
        if base is not None:
            calls[f"base {name}"] = _eager(base, networks.image, getattr(torch, layout))
    calls[FROZEN] = _frozen(networks)
    for name, model in networks.bare.items():
        if model is not networks.built:
            calls[name] = lambda model=model: model.call(given)
    try:
        return interleaved(calls, samples, settle_s=SETTLE_S)
    finally:
        torch.set_num_threads(before)


def _eager(module: Any, image: Any, layout: Any) -> Callable[[], None]:
    """Return PyTorch's own execution, its weights and input laid out ahead."""
    from copy import deepcopy

    import torch

    network = deepcopy(module).to(memory_format=layout)
    image = image.contiguous(memory_format=layout)

    def call() -> None:
        with torch.inference_mode():
            network(image)

    return call


def _frozen(networks: Networks) -> Callable[[], None]:
    """Return TorchScript's execution, prepared for inference: weights packed, operators fused."""
    import torch

    image = networks.image
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is PyTorch's own advice no more
        traced = torch.jit.freeze(torch.jit.trace(networks.eager, image))
        network = torch.jit.optimize_for_inference(traced)

    def call() -> None:
        with torch.inference_mode():
            network(image)

    return call


def times_of(samples: dict[str, list[float]]) -> dict[str, float]:
    """Return the median in ms of each way, and of `eager` and `base eager`: the better layout."""
    found = {name: middle(values) / 1e6 for name, values in samples.items()}
    for prefix in ("", "base "):
        if all(prefix + name in found for name in LAYOUTS):
            found[f"{prefix}eager"] = min(found[prefix + name] for name in LAYOUTS)
    return found
