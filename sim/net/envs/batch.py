"""Many links stepped by one compiled kernel: what all three faces of an environment share."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net.envs import threads
from sim.net.envs.config import EnvConfig, parameters
from sim.net.envs.draws import environment_stream
from sim.net.envs.episode import IDLE, TOLD
from sim.net.envs.room import Room


def any_seed() -> int:
    """Return a seed that nobody can foresee."""
    return int(np.random.SeedSequence().generate_state(1)[0])


class Batch:
    """`count` links of one model, with their observations.

    Attributes:
        state: STATE[count] of the model, a row per link.
        observations: float32[count, history * features], the oldest interval first.
        final: the same, of the episodes that the last step ended.
    """

    def __init__(self, model: ModuleType, config: EnvConfig, count: int, index: int = 0) -> None:
        """Prepare `count` links; the first is number `index` of those that a seed makes.

        Raises:
            ScenarioError: a field of the configuration is out of range; the message names it.
        """
        config.check(tuple(model.FEATURES))
        self.model, self.config, self.count, self.index = model, config, count, index
        self.known = parameters(config, model.rate_unit_bps(config.packet_bytes))
        wanted = np.array([list(model.FEATURES).index(name) for name in config.features])
        bounds = np.array([model.FEATURES[name] for name in config.features], np.float32)
        self.low, self.high, self.empty = (np.tile(b, config.history) for b in bounds.T)
        self.rest = (self.known, wanted, bounds.T.astype(np.float64).copy())
        self.state: Any = np.zeros(count, model.STATE)
        self.observations = np.tile(self.empty, (count, 1))
        self.final = np.zeros_like(self.observations)
        self.room = Room(self.state, model.columns(config))
        self._words: Any = np.ndarray(
            (len(TOLD), count),
            np.int64,
            self.state,
            self.state.dtype.fields["phase"][1],
            (8, self.state.itemsize),
        )
        self._told = self._words.copy()
        self._no_actions = np.zeros((0, 1))
        self._seeded = False

    def seed(self, seeds: int | list[int | None]) -> None:
        """Give every environment a stream of its own: from one seed, or from one seed each."""
        each = [seeds] * self.count if isinstance(seeds, int | np.integer) else seeds
        if len(each) != self.count:
            raise ValueError(f"seed: {len(each)} seeds for {self.count} environments")
        for i, seed in enumerate(each):
            if seed is None:
                seed = any_seed()
            stream = environment_stream(int(seed), self.model.NAME, self.index + i)
            self.state["stream"][i], self.state["episode"][i] = stream, 0
        self._seeded = True

    def begin(self, chosen: NDArray[np.bool_] | None = None) -> None:
        """Begin the next episode, on all links or the chosen ones."""
        if not self._seeded:
            self.seed(any_seed())
        everywhere = np.ones(self.count, np.bool_)
        self.model.start(self.state, everywhere if chosen is None else chosen, self.known)
        self.finish_start()

    def finish_start(self) -> None:
        """Let links whose episode has begun do their warm-up."""
        self._finish(self._no_actions)

    def step(self, actions: Any) -> None:
        """Advance every link by one monitor interval; links whose episode ends begin the next.

        Args:
            actions: float[count, 1].

        Raises:
            ValueError: wrong shape, or an action that is not a finite number.
        """
        values = np.asarray(actions, np.float64)
        if values.shape != (self.count, 1):
            raise ValueError(f"action: shape must be ({self.count}, 1), got {values.shape}")
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values[:, 0]))[0])
            raise ValueError(f"action[{bad}] = {values[bad, 0]} is not a finite number")
        limit = self.model.ACTION_LIMIT
        self._finish(np.clip(values, -limit, limit))

    def _finish(self, actions: Any) -> None:
        outs = (self.observations, self.final)
        while True:
            arguments = (self.state, self.room.tapes, actions, self.rest, outs)
            threads.spread(self.model.span, self.count, arguments)
            self._told = self._words.copy()
            needy = self._told[TOLD.index("phase")] != IDLE
            if not needy.any():
                break
            self.room.grow(needy)
            actions = self._no_actions

    def measures(self) -> dict[str, NDArray[Any]]:
        """Return what the last step measured, as arrays [count]."""
        columns = {"rate_bps": "measured_rate", "throughput_bps": "throughput"}
        columns |= {"latency_s": "latency", "loss": "loss_share"}
        return {name: self._told_as_floats(column) for name, column in columns.items()}

    def _told_as_floats(self, column: str) -> NDArray[np.float64]:
        return self._told[TOLD.index(column)].view(np.float64).copy()

    def links(self) -> dict[str, NDArray[Any]]:
        """Return what the links of the present episodes are, as arrays [count]."""
        return self.model.describe(self.state, self.known)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """Return bool[count]: whose episode the last step ended."""
        return self._told[TOLD.index("truncated")] != 0

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Return float64[count], a copy."""
        return self._told_as_floats("reward")
