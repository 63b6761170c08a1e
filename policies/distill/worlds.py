"""Where policies are trained and judged: an environment, its links, and what is ideal on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policies.registry import UnknownNameError
from sim.net.envs.config import EnvConfig
from sim.streams import stream

if TYPE_CHECKING:
    from sim.net.envs.batch import Batch
    from sim.net.envs.stable import PccVecEnv

LEGACY, CORRECTED = "triptych/PccLegacy-v0", "triptych/Pcc-v1"
ENVIRONMENTS = (LEGACY, CORRECTED)
SPLITS = ("train", "validation", "test")
"""Of links: to learn on, to choose by, to report. Their seeds are three named streams."""


def seeds_of(split: str, seed: int, count: int) -> list[int]:
    """Return the seeds of the first `count` links of a split; more links begin with the same ones.

    Raises:
        UnknownNameError: there is no such split.
    """
    if split not in SPLITS:
        raise UnknownNameError("split of links", split, SPLITS)
    return stream(seed, {"links": split}, "seeds").integers(0, 2**62, size=count).tolist()


@dataclass(frozen=True)
class World:
    """An environment id and its parameters."""

    environment: str
    config: EnvConfig

    def __post_init__(self) -> None:
        if self.environment not in ENVIRONMENTS:
            raise UnknownNameError("environment", self.environment, ENVIRONMENTS)

    @property
    def model(self) -> ModuleType:
        """The kernel module of the environment."""
        from sim.net.envs import legacy_kernel, pcc_kernel

        return {LEGACY: legacy_kernel, CORRECTED: pcc_kernel}[self.environment]

    @property
    def inputs(self) -> int:
        """Numbers in an observation."""
        return self.config.history * len(self.config.features)

    def batch(self, count: int) -> Batch:
        """Return `count` links to step by hand; none has begun.

        Raises:
            ScenarioError: a field of the configuration is out of range; the message names it.
        """
        from sim.net.envs.batch import Batch

        return Batch(self.model, self.config, count)

    def vec_env(self, count: int) -> PccVecEnv:
        """Return the same for Stable-Baselines3."""
        from sim.net.envs.stable import PccLegacyVecEnv, PccVecEnv

        kind = {LEGACY: PccLegacyVecEnv, CORRECTED: PccVecEnv}[self.environment]
        return kind(count, self.config)

    def ideal_rewards(self, links: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return float64[n]: the mean reward per interval of sending at capacity, no queue.

        On PccLegacy-v0 it can be negative: on a slow, long link waiting costs more than packets
        bring. On Pcc-v1 it is the same on every link (`pcc_features.reward`).

        Args:
            links: as `Batch.links` describes n of them.
        """
        known = self.config
        arrives = 1.0 - links["loss_probability"]
        if self.environment == CORRECTED:
            return np.full(len(arrives), known.reward_scale * known.throughput_weight)
        packets_per_s = links["bandwidth_bps"] / (8.0 * known.packet_bytes)
        gain = known.throughput_weight * packets_per_s * arrives
        cost = known.latency_weight * self.base_rtts_s(links) + known.loss_weight * (1.0 - arrives)
        return known.reward_scale * (gain - cost)

    def base_rtts_s(self, links: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return float64[n]: round-trip times of an idle link, s, as the environment counts them.

        PccLegacy-v0 leaves a packet's own serialisation out.
        """
        way = 2.0 * links["delay_s"]
        if self.environment == LEGACY:
            return way
        return way + 8.0 * self.config.packet_bytes / links["bandwidth_bps"]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        config = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self.config).items()
        }
        return {"environment": self.environment, "config": config}

    @classmethod
    def from_json(cls, value: Any, where: str) -> World:
        """Return the world that `as_json` wrote.

        Raises:
            ValueError: it is none; the message begins with `where`.
        """
        if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
            raise ValueError(f"{where}: must be an object with environment and config")
        given, known = value["config"], [field.name for field in fields(EnvConfig)]
        for name in (*given, *known):
            if name not in known or name not in given:
                what = "no such field" if name not in known else "is missing"
                raise ValueError(f"{where}: config: {str(name)[:60]!r}: {what}")
        for name in ("log_bandwidth", "log_delay"):
            if not isinstance(given[name], bool):
                raise ValueError(f"{where}: config: {name} must be true or false")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }
        config = EnvConfig(**values)
        try:
            world = cls(str(value.get("environment"))[:80], config)
            config.check(tuple(world.model.FEATURES))
        except (LookupError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from None
        return world
