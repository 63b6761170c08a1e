"""`triptych/PccShared-v1`: the flow of Pcc-v1 shares its link with other controllers' flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from policies.congestion.base import (
    CWND,
    I_MEAN_RTT_NS,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    PACING_BPS,
    START_RATE_BPS,
    Controller,
)
from policies.congestion.hooks import hook
from sim.net.engine.run import Session
from sim.net.envs.batch import any_seed
from sim.net.envs.config import EnvConfig, parameters
from sim.net.envs.pcc_features import (
    FEATURES,
    FIELDS,
    feature,
    loss_ratio,
    receive_rate,
    remember,
    reward,
)
from sim.net.envs.pcc_kernel import allowed_rate
from sim.net.links import MAX_NS, Bernoulli, Constant, DropTail, Link
from sim.net.scenario import Flow, Scenario
from sim.streams import stream

NAME = "triptych/PccShared-v1"
MEMORY = np.dtype(
    [*FIELDS, ("capacity_bps", np.int64), ("loss", np.float64), ("base_rtt", np.int64)], align=True
)


@hook
def _init(state: Any, flow: Any, constants: Any) -> None:
    state[CWND] = np.inf
    state[PACING_BPS] = flow[START_RATE_BPS]
    state[INTERVAL_NS], state[INTERVAL_PACKETS] = constants[0], constants[1]


@hook
def _on_interval(state: Any, interval: Any, constants: Any) -> None:
    if interval[I_MEAN_RTT_NS] > 0.0:
        state[INTERVAL_NS] = constants[2] * interval[I_MEAN_RTT_NS]


class Steered(Controller):
    """Paces at the rate that an environment sets; its intervals follow the RTT."""

    name = "steered"
    parameters: ClassVar[Mapping[str, float]] = {
        "first_interval_ns": 1e8,
        "interval_packets": 10.0,
        "interval_rtts": 0.5,
    }
    init, on_interval = _init, _on_interval


class PccSharedEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Pcc-v1 in the general packet engine, against `competitors` that start with it.

    Observation, action and reward as `PccEnv`; throughput counts as a share of the whole link, so
    a fair share of k flows is worth 1/k. There is no vector face: the engine runs one link a time.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - so it is in gymnasium.Env

    def __init__(
        self,
        competitors: Sequence[str] = ("cubic",),
        config: EnvConfig | None = None,
        index: int = 0,
        **fields: Any,
    ) -> None:
        """Make an environment; `competitors` are names of controllers, the rest as `PccEnv`.

        Raises:
            ScenarioError: a field is out of range; the message names it.
            UnknownNameError: there is no such controller (at the first reset).
        """
        self.config = replace(config or EnvConfig(), **fields)
        self.config.check(tuple(FEATURES))
        self.competitors, self.index = tuple(competitors), index
        self.known: Any = parameters(self.config, 1.0)[0]
        self.wanted = [list(FEATURES).index(name) for name in self.config.features]
        bounds = np.array([FEATURES[name] for name in self.config.features], np.float32)
        self.low, self.high, self.empty = bounds.T
        low, high = (np.tile(bound, self.config.history) for bound in (self.low, self.high))
        self.observation_space: Any = gymnasium.spaces.Box(low, high, dtype=np.float32)
        self.action_space: Any = gymnasium.spaces.Box(-1.0, 1.0, (1,), dtype=np.float32)
        self.render_mode = None
        self._seed, self._episode, self._session = any_seed(), 0, None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next episode; with a seed, the first one of that seed. See `PccEnv.reset`."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._episode = seed, 0
        scenario = self._scenario()
        self._episode, self._steps = self._episode + 1, 0
        self._session = Session(scenario)
        for _ in range(self.config.warmup_intervals):
            remember(self._memory, self._next_row(), self.known)
        self._seen = np.tile(self.empty, (self.config.history, 1))
        link = scenario.links[0]
        return self._seen.ravel().copy(), {
            "bandwidth_bps": float(self._memory["capacity_bps"]),
            "delay_s": link.delay_ns * 1e-9,
            "queue_packets": link.queue.packets,  # type: ignore[union-attr]
            "loss_probability": float(self._memory["loss"]),
        }

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Change the rate and run to the next report of a monitor interval; see `PccEnv.step`.

        Raises:
            ValueError: the action is not one finite number.
            RuntimeError: the episode is over, or none has begun.
        """
        if self._session is None:
            raise RuntimeError("step: no episode is running; invoke reset() first")
        values = np.asarray(action, np.float64).reshape(-1)
        if values.shape != (1,) or not np.isfinite(values[0]):
            raise ValueError(f"action[0] = {action!r} is not one finite number")
        rate = self._session.state(0)[PACING_BPS] * (1.0 + self.config.delta) ** np.clip(
            values[0], -1.0, 1.0
        )
        rate = float(allowed_rate(rate, self._memory["capacity_bps"], self.known))
        self._session.set_rate(0, rate)
        row = self._next_row()
        remember(self._memory, row, self.known)
        new = np.array([feature(name, self._memory, row) for name in self.wanted], np.float32)
        self._seen = np.vstack([self._seen[1:], np.clip(new, self.low, self.high)])
        value = float(reward(self._memory, row, self.known, self._memory))
        self._steps += 1
        truncated = self._steps >= self.config.steps
        if truncated:
            self._session = None
        measured = {"rate_bps": rate, "throughput_bps": float(receive_rate(row, self.known))}
        measured |= {"latency_s": float(self._memory["mean_rtt"]) * 1e-9}
        measured |= {"loss": float(loss_ratio(row))}
        return self._seen.ravel().copy(), value, False, truncated, measured

    def _next_row(self) -> NDArray[np.float64]:
        assert self._session is not None
        row = self._session.run_until_interval(0)
        if row is None:
            raise RuntimeError(f"no monitor interval ended in {MAX_NS * 1e-9:g} s")
        return row

    def _scenario(self) -> Scenario:
        config, who = self.config, {"environment": NAME, "index": self.index}
        identity = {**who, "episode": self._episode}
        draws = stream(self._seed, identity, "link")
        capacity = round(_draw(draws, config.bandwidth_bps, config.log_bandwidth))
        delay = round(_draw(draws, config.delay_s, config.log_delay) * 1e9)
        queue = 1 + int(np.exp(draws.uniform(*config.queue_log)))
        loss, share = draws.uniform(*config.loss), draws.uniform(*config.start_share)
        self._memory = np.zeros(1, MEMORY)[0]
        service = -(-8 * config.packet_bytes * 10**9 // capacity)
        self._memory["capacity_bps"], self._memory["loss"] = capacity, loss
        self._memory["base_rtt"] = service + 2 * delay
        tuned = {
            "first_interval_ns": config.first_interval_delays * delay,
            "interval_packets": float(config.interval_packets),
            "interval_rtts": config.interval_rtts,
        }
        ours = Flow(
            Steered,
            parameters=tuned,
            start_rate_bps=float(allowed_rate(share * capacity, capacity, self.known)),
            packet_bytes=config.packet_bytes,
            attribution=config.attribution,
            name="steered",
        )
        others = (
            Flow(name, packet_bytes=config.packet_bytes, name=f"{name} {i}")
            for i, name in enumerate(self.competitors)
        )
        link = Link(Constant(capacity), delay, DropTail(packets=queue), Bernoulli(loss))
        return Scenario((link,), (ours, *others), MAX_NS, seed=self._seed, identity=identity)


def _draw(draws: np.random.Generator, ends: tuple[float, float], logarithmic: bool) -> float:
    if logarithmic:
        return float(np.exp(draws.uniform(*np.log(ends))))
    return float(draws.uniform(*ends))
