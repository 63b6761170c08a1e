"""Many environments in one step, as Stable-Baselines3 wants them.

    model = PPO("MlpPolicy", VecMonitor(PccVecEnv(512)), n_steps=64)

Episodes end by truncation only, and the next one begins in the same step: `infos[i]` then holds
"terminal_observation" and "TimeLimit.truncated", from which PPO bootstraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from sim.net.envs import legacy_kernel, pcc_kernel
from sim.net.envs.batch import Batch, any_seed
from sim.net.envs.config import EnvConfig
from sim.net.envs.spaces import action_space, observation_space


class PccVecEnv(VecEnv):
    """`num_envs` environments of `triptych/Pcc-v1`; number i equals `PccEnv(index=i)`.

    `seed(s)` gives every environment the stream (s, its number), not the seed s + number.
    """

    model: ClassVar[ModuleType] = pcc_kernel

    def __init__(
        self, num_envs: int, config: EnvConfig | None = None, index: int = 0, **fields: Any
    ) -> None:
        """Make the environments; arguments as `PccVectorEnv`."""
        chosen = replace(config or self.model.DEFAULT(), **fields)
        self.batch = Batch(self.model, chosen, num_envs, index)
        self._actions: Any = None
        super().__init__(num_envs, observation_space(self.batch), action_space(self.batch))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Let the next `reset` begin the first episodes of `seed`; None: of a random one."""
        if seed is None:
            seed = any_seed()
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def reset(self) -> NDArray[np.float32]:
        """Begin the next episode everywhere; return float32[n, history * features]."""
        if self._seeds[0] is not None:
            self.batch.seed(self._seeds)
        self._reset_seeds()
        self._reset_options()
        self.batch.begin()
        return self.batch.observations.copy()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions, float[n, 1]."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step; return observations, rewards, dones and infos."""
        batch = self.batch
        batch.step(self._actions)
        over = batch.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(over):
            infos[i]["terminal_observation"] = batch.final[i].copy()
            infos[i]["TimeLimit.truncated"] = True
        return batch.observations.copy(), batch.rewards.astype(np.float32), over, infos

    def close(self) -> None:
        """Nothing is held that would need closing."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute that all environments share, once for each of `indices`."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: environments have no attributes of their own.

        Raises:
            AttributeError: always; a configuration is given when they are made.
        """
        raise AttributeError(f"{attr_name} cannot be set; give a configuration when making it")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Refuse: environments have no methods of their own.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"there is no method {method_name!r} of a single environment")

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each: nothing wraps a single environment."""
        return [False for _ in self._get_indices(indices)]


class PccLegacyVecEnv(PccVecEnv):
    """`num_envs` environments of `triptych/PccLegacy-v0`."""

    model: ClassVar[ModuleType] = legacy_kernel
