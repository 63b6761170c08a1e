"""Roll-outs to test with: who acts, on which links, and made-up ones that say whose they are."""

from __future__ import annotations

import numpy as np

from policies.congestion.rule_inputs import WIDTH
from policies.distill.rollouts import Rollouts
from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, World, seeds_of

STEPS = 25
WORLD = World(CORRECTED, corrected_links(steps=STEPS))


def wilful(seen: np.ndarray) -> np.ndarray:
    """Answer each link by its own observation alone, at times beyond [-1, 1]."""
    return 11.5 - 10.0 * seen.max(axis=1)


def timid(seen: np.ndarray) -> np.ndarray:
    return np.full((len(seen), 1), -0.125)


def seeds(count: int) -> list[int]:
    return seeds_of("train", 0, count)


def luck(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def content(rollouts: Rollouts) -> dict[str, bytes]:
    """Return all that roll-outs hold, to the bit."""
    rows = {name: getattr(rollouts, name) for name in ("inputs", "labels", "links", "steps")}
    arrays = {**rows, "share": rollouts.share, **rollouts.conditions}
    return {n: a.tobytes() + f"{a.dtype}{a.shape}".encode() for n, a in arrays.items()}


def made(links: int, rows: int, seed: int = 0, first: int = 0) -> Rollouts:
    """Return roll-outs in which inputs and conditions say which link, and labels which row."""
    draws = np.random.default_rng(seed)
    place = np.sort(draws.integers(links, size=rows)) if links else np.zeros(rows, int)
    inputs = draws.normal(size=(rows, WIDTH))
    inputs[:, 0] = first + place
    names = first + np.arange(links, dtype=np.float64)
    return Rollouts(
        inputs.astype(np.float32),
        (np.arange(rows) / max(rows, 1)).astype(np.float32),
        place.astype(np.int32),
        draws.integers(400, size=rows).astype(np.int32),
        {"bandwidth_bps": names, "delay_s": names / 3.0},
        -names / 7.0,
    )
