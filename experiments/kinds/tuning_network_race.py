"""One call of a network in turn: built here, without passes, and PyTorch's own ways."""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

from experiments.kinds.tuning_bench import middle, undisturbed
from experiments.kinds.tuning_network import Networks
from tuning.rivals.base import SHORT_SPINS

if TYPE_CHECKING:
    from tuning.rivals.timing import Ratio

OURS, FROZEN = "ours", "frozen"
LAYOUTS = {"eager NCHW": "contiguous_format", "eager NHWC": "channels_last"}
SETTLE_S = 0.03
"""Pause before each timed call: threads of the pool that ran before stop spinning by then."""
ROUNDS_PER_SAMPLE = 2
"""The ratio of two builds is to be known better than a candidate's time."""
FEWEST_PAIRS = 6
"""Undisturbed rounds of two entrants from which on the others do not count."""

Taken = tuple[float, bool]
"""ns of one call, and whether a thread of ours lost its core meanwhile, to whomever."""


@dataclass(frozen=True)
class NetworkRace:
    """Times of one race.

    Attributes:
        taken: entrant -> one sample per round; all have the same rounds.
    """

    taken: Mapping[str, list[Taken]]

    def median_ms(self, name: str) -> float:
        """Return an entrant's median in ms."""
        return middle(undisturbed(self.taken[name])) / 1e6

    def eager(self, prefix: str = "") -> str:
        """Return the name of the faster layout of eager PyTorch; prefix `base ` for the base's."""
        return min((prefix + name for name in LAYOUTS), key=self.median_ms)

    def ratio(self, slow: str, fast: str = OURS) -> Ratio | None:
        """Return time of `slow` / time of `fast`, median over rounds, with a 95 % interval.

        Rounds count in which no thread lost its core to another during either of both, all of them
        where these are too few. None if `slow` did not run.
        """
        from tuning.rivals.timing import Timing, paired_ratio

        if slow not in self.taken:
            return None
        rounds = list(zip(self.taken[slow], self.taken[fast], strict=True))
        clean = [(one, two) for one, two in rounds if not (one[1] or two[1])]
        kept = clean if len(clean) >= FEWEST_PAIRS else rounds
        one = Timing.of(slow, [first[0] for first, _ in kept])
        return paired_ratio(one, Timing.of(fast, [second[0] for _, second in kept]))

    @property
    def disturbed(self) -> float:
        """Share of the samples during which a thread of ours lost its core."""
        samples = [disturbed for taken in self.taken.values() for _, disturbed in taken]
        return sum(samples) / len(samples)


def race_networks(networks: Networks, threads: int, samples: int, base: Any = None) -> NetworkRace:
    """Time `ours`, the other builds and PyTorch's ways in turn, one call of each per round.

    There are `ROUNDS_PER_SAMPLE` rounds for each of `samples`.

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
    calls: dict[str, Callable[[], object]] = {OURS: lambda: networks.built.call(given)}
    for name, layout in LAYOUTS.items():
        calls[name] = _eager(networks.eager, networks.image, getattr(torch, layout))
        if base is not None:
            calls[f"base {name}"] = _eager(base, networks.image, getattr(torch, layout))
    calls[FROZEN] = _frozen(networks)
    for name, model in networks.bare.items():
        if model is not networks.built:
            calls[name] = lambda model=model: model.call(given)
    try:
        return NetworkRace(taken_in_turn(calls, ROUNDS_PER_SAMPLE * samples))
    finally:
        torch.set_num_threads(before)


def taken_in_turn(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2
) -> dict[str, list[Taken]]:
    """Time one call of each function per round, in an order that is shuffled every round.

    Before each timed call there are a pause, for threads of the pool that ran before to stop
    spinning, and an untimed call, which wakes this one's.
    """
    from tuning.profile import measuring
    from tuning.profile.priority import preferred

    found: dict[str, list[Taken]] = {name: [] for name in calls}
    order, luck = list(calls), random.Random(0)
    with measuring(), preferred():
        for round_ in range(warm_up + rounds):
            luck.shuffle(order)
            for name in order:
                time.sleep(SETTLE_S)
                calls[name]()
                sample = _timed(calls[name])
                if round_ >= warm_up:
                    found[name].append(sample)
    return found


def _timed(call: Callable[[], object]) -> Taken:
    before, start = getrusage(RUSAGE_SELF).ru_nivcsw, time.perf_counter_ns()
    call()
    ns = float(time.perf_counter_ns() - start)
    return ns, getrusage(RUSAGE_SELF).ru_nivcsw > before


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
