"""How two parts are timed, alone and beside each other."""

from __future__ import annotations

import time
from typing import Any

from .kernels import Layer

ROUNDS, REPEATS, WARM_UPS = 4, 7, 2
PRIORITIES = {"equal": 0, "memory-first": -1}
"""Name -> priority of the stream of attention; that of GEMMs is 0."""
HELD_CYCLES = 4_000_000
"""About 2 ms: longer than it takes to queue a measurement."""


class CudaClock:
    """Times queued work by events, both streams held back until all of it is queued."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.streams = {
            name: (torch.cuda.Stream(), torch.cuda.Stream(priority=priority))
            for name, priority in PRIORITIES.items()
        }

    def ms(self, layer: Layer, compute: bool, memory: bool, priority: str = "equal") -> float:
        """Return ms of `ROUNDS` layers of either part, or of both side by side."""
        cuda = self.torch.cuda
        begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        main, (left, right) = cuda.current_stream(), self.streams[priority]
        cuda.synchronize()
        cuda._sleep(HELD_CYCLES)
        begin.record(main)
        for stream in (left, right):
            stream.wait_event(begin)
        for _ in range(ROUNDS):
            if compute:
                with cuda.stream(left):
                    layer.gemms()
            if memory:
                with cuda.stream(right):
                    layer.attention()
        for stream in (left, right):
            main.wait_stream(stream)
        end.record(main)
        end.synchronize()
        return begin.elapsed_time(end)


class WallClock:
    """Does the same on a CPU, one part after the other; its times mean nothing."""

    def ms(self, layer: Layer, compute: bool, memory: bool, priority: str = "equal") -> float:
        """Return ms of wall time."""
        began = time.perf_counter()
        for _ in range(ROUNDS):
            if compute:
                layer.gemms()
            if memory:
                layer.attention()
        return 1e3 * (time.perf_counter() - began)


def measure(clock: CudaClock | WallClock, layer: Layer, repeats: int) -> dict[str, Any]:
    """Return ms per layer of every repeat: both parts alone and together, taking turns."""
    alone: dict[str, list[float]] = {"compute_ms": [], "memory_ms": []}
    both: dict[str, list[float]] = {name: [] for name in PRIORITIES}
    for turn in range(WARM_UPS + repeats):
        times = [clock.ms(layer, True, False), clock.ms(layer, False, True)]
        together = [clock.ms(layer, True, True, name) for name in PRIORITIES]
        if turn < WARM_UPS:
            continue
        for into, ms in zip((*alone.values(), *both.values()), (*times, *together), strict=True):
            into.append(ms / ROUNDS)
    return {**alone, "both_ms": both}
