"""One environment with Gymnasium's interface."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sim.net.envs import legacy_kernel, pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.envs.spaces import action_space, observation_space

Observation = NDArray[np.float32]


class PccEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """`triptych/Pcc-v1`: set the rate of one flow on one link, monitor interval by interval.

    Observation float32[history * features], action float32[1] in [-1, 1], reward at most about 1
    (see `pcc_features.reward`). An episode is truncated after `steps` intervals, never terminated.

    >>> import gymnasium, sim.net.envs
    >>> environment = gymnasium.make("triptych/Pcc-v1", steps=2)
    >>> observation, link = environment.reset(seed=0)
    >>> observation.shape
    (30,)
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - so it is in gymnasium.Env
    model: ClassVar[ModuleType] = pcc_kernel

    def __init__(self, config: EnvConfig | None = None, index: int = 0, **fields: Any) -> None:
        """Make an environment.

        Args:
            config: its parameters; None: the defaults of the id.
            index: its number among those that share a seed; number i is environment i of
                the vector environment, number for number.
            fields: fields of the configuration that differ.

        Raises:
            ScenarioError: a field is out of range; the message names it.
            TypeError: there is no such field.
        """
        chosen = replace(config or self.model.DEFAULT(), **fields)
        self.batch = Batch(self.model, chosen, 1, index)
        self.observation_space = observation_space(self.batch)
        self.action_space = action_space(self.batch)
        self.render_mode = None
        self._state = "new"

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next episode; with a seed, the first one of that seed.

        Returns:
            Observation, and what the link is: bandwidth_bps, delay_s (one way), queue_packets,
            loss_probability.
        """
        super().reset(seed=seed)
        if seed is not None:
            self.batch.seed(seed)
        if seed is not None or self._state != "over":  # the kernel goes on by itself when over
            self.batch.begin()
        self._state = "running"
        return self.batch.observations[0].copy(), _first(self.batch.links())

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Change the rate and run to the end of a monitor interval.

        Returns:
            Observation, reward, False, whether the episode is over, and what was measured:
            rate_bps, throughput_bps, latency_s (mean RTT), loss (share).

        Raises:
            ValueError: the action is not one finite number.
            RuntimeError: the episode is over, or none has begun.
        """
        if self._state != "running":
            raise RuntimeError("step: no episode is running; invoke reset() first")
        self.batch.step(np.asarray(action, np.float64).reshape(1, -1))
        truncated = bool(self.batch.truncated[0])
        shown = self.batch.final if truncated else self.batch.observations
        self._state = "over" if truncated else "running"
        reward = float(self.batch.rewards[0])
        return shown[0].copy(), reward, False, truncated, _first(self.batch.measures())


class PccLegacyEnv(PccEnv):
    """`triptych/PccLegacy-v0`: PCC-RL's PccNs-v0, its faults included, but seeded properly.

    Action float32[1], unbounded; reward 0.001 (10 packets/s - 1000 s - 2000 loss), the ideal
    depends on the link. PCC-RL called the last step `done`; here it is a truncation.
    """

    model: ClassVar[ModuleType] = legacy_kernel


def _first(columns: dict[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: values[0].item() for name, values in columns.items()}
