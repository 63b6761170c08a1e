"""Many environments in one step, with Gymnasium's interface of vector environments."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim.net.envs import legacy_kernel, pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.envs.spaces import action_space, observation_space

Observations = NDArray[np.float32]


class PccVectorEnv(VectorEnv[Observations, NDArray[np.float32], NDArray[Any]]):
    """`num_envs` environments of `triptych/Pcc-v1`; number i equals `PccEnv(index=i)`.

    An environment whose episode ends begins the next in the same step (`AutoresetMode.SAME_STEP`);
    `infos` then holds its last observation under "final_obs" and what that step measured under
    "final_info", each with its mask, as Gymnasium's own vector environments do.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - an instance attribute of VectorEnv by its type
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    model: ClassVar[ModuleType] = pcc_kernel

    def __init__(
        self, num_envs: int = 1, config: EnvConfig | None = None, index: int = 0, **fields: Any
    ) -> None:
        """Make `num_envs` environments, numbers `index` and up; the rest as `PccEnv`."""
        chosen = replace(config or self.model.DEFAULT(), **fields)
        self.batch = Batch(self.model, chosen, num_envs, index)
        self.num_envs = num_envs
        self.single_observation_space = observation_space(self.batch)
        self.single_action_space = action_space(self.batch)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = None
        self._all = np.ones(num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin the next episode everywhere, or where `options["reset_mask"]` (bool[n]) says so.

        Args:
            seed: one for all, whose streams differ by number; or one for each.
            options: may hold the mask.

        Raises:
            ValueError: as many seeds or mask entries as environments are needed.
        """
        if seed is not None:
            self.batch.seed(seed)
        chosen = self._all
        if options is not None and "reset_mask" in options:
            chosen = np.asarray(options["reset_mask"])
            if chosen.shape != (self.num_envs,) or chosen.dtype != np.bool_:
                raise ValueError(f"reset_mask must be bool[{self.num_envs}]")
        self.batch.begin(chosen)
        return self.batch.observations.copy(), _masked(self.batch.links(), chosen)

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[Observations, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Step every environment; actions float[n, 1].

        Raises:
            ValueError: wrong shape, or an action that is not finite; the message names it.
        """
        batch = self.batch
        batch.step(actions)
        over = batch.truncated
        if not over.any():
            infos = _masked(batch.measures(), self._all)
        else:
            infos = _masked(batch.measures(), ~over) | _masked(batch.links(), over)
            infos["final_obs"], infos["_final_obs"] = _objects(batch.final, over), over
            infos["final_info"], infos["_final_info"] = _masked(batch.measures(), over), over
        terminated = np.zeros(self.num_envs, np.bool_)
        return batch.observations.copy(), batch.rewards, terminated, over.copy(), infos


class PccLegacyVectorEnv(PccVectorEnv):
    """`num_envs` environments of `triptych/PccLegacy-v0`."""

    model: ClassVar[ModuleType] = legacy_kernel


def _masked(columns: dict[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return Gymnasium's form: values, zero where the mask is not set, and the mask."""
    infos: dict[str, Any] = {}
    everywhere = mask.all()
    for name, values in columns.items():
        infos[name] = values if everywhere else np.where(mask, values, 0).astype(values.dtype)
        infos[f"_{name}"] = mask.copy()
    return infos


def _objects(rows: Observations, mask: NDArray[np.bool_]) -> NDArray[Any]:
    found = np.full(len(rows), None, dtype=object)
    for i in np.flatnonzero(mask):
        found[i] = rows[i].copy()
    return found
