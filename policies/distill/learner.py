"""Stable-Baselines3's PPO, with rollouts of its own: many links, no bookkeeping per link.

The update is SB3's `PPO.train`, untouched. Its rollouts are not used, for three reasons. They draw
from torch's and NumPy's global generators, whose state a resumed run would have to carry; here each
batch has named generators of its own. They keep a dict and a loop in Python for every link and
step. And they evaluate the value network step by step and once more per ended episode, where one
pass over the batch does.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from policies.distill.episodes import Episodes
from policies.distill.teacher_config import TeacherConfig
from policies.distill.weights import Network
from policies.distill.worlds import seeds_of
from sim.streams import stream

IDENTITY = {"trains": "teacher"}
THREADS = 1
"""Of torch while it trains: so small matrices are quicker on one, and sums have one order."""


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Let torch compute with `THREADS` threads until the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Lesson:
    """What one batch was like.

    Attributes:
        reward: mean over its steps, of actions with noise.
        ideal: mean ideal reward of its steps.
        entropy: of the policy, nats.
        kl: from the policy before to the one after, approximately (SB3's last epoch).
        clipped: share of probability ratios beyond the clip.
        explained: share of the returns' variance that the value network knew.
    """

    reward: float
    ideal: float
    entropy: float
    kl: float
    clipped: float
    explained: float


class Rollout(RolloutBuffer):
    """A batch whose minibatches come from a generator of its own.

    Attributes:
        order: set it before the batch is used.
    """

    order: np.random.Generator

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield minibatches that make up the batch, in random order."""
        size = self.buffer_size * self.n_envs
        columns = [
            torch.from_numpy(values).reshape(size, *values.shape[2:])
            for values in (self.observations, self.actions, self.values, self.log_probs)
        ]
        columns += [torch.from_numpy(v).reshape(size) for v in (self.advantages, self.returns)]
        places = torch.from_numpy(self.order.permutation(size))
        for chosen in places.split(batch_size or size):
            yield RolloutBufferSamples(*(column[chosen] for column in columns))


# paper: symbolicpcc teacher
class Learner(PPO):
    """A teacher in training.

    Attributes:
        config: of the training.
        first: the policy that it goes on from; None: it began with weights that were drawn.
        episodes: the links that it learns on.
    """

    def __init__(self, config: TeacherConfig, first: Network | None = None) -> None:
        """Draw the first weights, or take those of a policy, and begin on the links.

        The value network is drawn in either case: it is no part of a `Network`.

        Raises:
            ValueError: the policy has layers of other sizes than the configuration says.
        """
        self.config, self.first = config, first
        environments = config.world.vec_env(config.parallel)
        hidden = list(config.hidden)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(stream(config.seed, IDENTITY, "weights").integers(2**62)))
            super().__init__(
                ActorCriticPolicy,
                environments,
                learning_rate=lambda remaining: config.learning_rate * remaining,
                n_steps=config.batch_steps // config.parallel,
                batch_size=config.minibatch,
                n_epochs=config.epochs,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                clip_range=config.clip,
                ent_coef=config.entropy,
                vf_coef=config.value_weight,
                max_grad_norm=config.gradient_norm,
                rollout_buffer_class=Rollout,
                policy_kwargs={
                    "net_arch": {"pi": hidden, "vf": hidden},
                    "activation_fn": torch.nn.Tanh,
                    "log_std_init": config.log_std,
                    "optimizer_kwargs": {"eps": config.adam_epsilon},
                },
                device="cpu",
            )
        self.set_logger(Logger(None, []))
        if first is not None:
            self._take_over(first)
        self.episodes = Episodes(
            environments.batch, seeds_of("train", config.seed, config.parallel)
        )

    def practise(self, number: int) -> Lesson:
        """Act for one batch, number `number` (0, 1, ...), and learn from it."""
        identity = {**IDENTITY, "batch": number}
        buffer: Any = self.rollout_buffer
        reward, ideal = self._collect(buffer, stream(self.config.seed, identity, "actions"))
        buffer.order = stream(self.config.seed, identity, "minibatches")
        if self.config.anneal:  # as SB3 counts progress, which the rate follows
            self._current_progress_remaining = 1.0 - number / self.config.batches
        self.train()
        told = self.logger.name_to_value
        explained = float(told["train/explained_variance"])
        return Lesson(
            reward,
            ideal,
            -float(told["train/entropy_loss"]),
            float(told["train/approx_kl"]),
            float(told["train/clip_fraction"]),
            explained if math.isfinite(explained) else 0.0,
        )

    def network(self) -> Network:
        """Return a copy of the policy as it is now."""
        tensors: dict[str, NDArray[np.float32]] = {}
        for place, layer in enumerate(self._layers()):
            tensors[f"w{place}"] = layer.weight.detach().numpy().T.copy()
            tensors[f"b{place}"] = layer.bias.detach().numpy().copy()
        policy: Any = self.policy
        tensors["log_std"] = policy.log_std.detach().numpy().copy()
        return Network(tensors, self.config.world)

    def _take_over(self, first: Network) -> None:
        if first.sizes != self.config.sizes:
            raise ValueError(
                f"first: its layers are {first.sizes}, those of the training {self.config.sizes}"
            )
        policy: Any = self.policy
        with torch.no_grad():
            for place, layer in enumerate(self._layers()):
                layer.weight.copy_(torch.from_numpy(first.tensors[f"w{place}"].T.copy()))
                layer.bias.copy_(torch.from_numpy(first.tensors[f"b{place}"]))
            policy.log_std.copy_(torch.from_numpy(first.tensors["log_std"]))

    def _layers(self) -> list[torch.nn.Linear]:
        policy: Any = self.policy
        hidden = [m for m in policy.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
        return [*hidden, policy.action_net]

    def _collect(self, buffer: Rollout, luck: np.random.Generator) -> tuple[float, float]:
        """Fill the buffer; return mean reward and mean ideal reward."""
        episodes, batch = self.episodes, self.episodes.batch
        policy: Any = self.policy
        steps, count = buffer.buffer_size, buffer.n_envs
        noise = luck.standard_normal((steps, count), dtype=np.float32)
        log_std = policy.log_std.detach().numpy()[0]
        pushes = np.exp(log_std) * noise
        buffer.reset()
        ends: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
        ideal, ideals = 0.0, self._ideals()
        over = np.zeros(count, np.bool_)
        with torch.inference_mode():
            for step in range(steps):
                buffer.observations[step] = batch.observations
                seen = torch.from_numpy(buffer.observations[step])
                means = policy.action_net(policy.mlp_extractor.forward_actor(seen)).numpy()[:, 0]
                actions = means + pushes[step]
                over = episodes.step(actions)
                buffer.actions[step, :, 0] = actions
                buffer.rewards[step] = batch.rewards
                ideal += float(ideals.sum())
                if over.any():
                    ended = np.flatnonzero(over)
                    ends.append((step, ended, batch.final[ended]))
                    ideals = self._ideals()
                if step + 1 < steps:
                    buffer.episode_starts[step + 1] = over
        reward = float(buffer.rewards.mean(dtype=np.float64))
        buffer.log_probs[:] = -0.5 * noise**2 - log_std - np.float32(0.5 * math.log(2 * math.pi))
        self._complete(buffer, ends, over)
        return reward, ideal / (steps * count)

    def _complete(
        self,
        buffer: Rollout,
        ends: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]],
        over: NDArray[np.bool_],
    ) -> None:
        """Set values, advantages and returns; an episode cut off by its end goes on in its value.

        Args:
            buffer: with observations, actions and rewards.
            ends: (step, places of links, their last observations) of episodes that ended.
            over: bool[n], whose episode the last step ended.
        """
        steps, count = buffer.buffer_size, buffer.n_envs
        rows = [buffer.observations.reshape(steps * count, -1), self.episodes.batch.observations]
        rows += [last for _, _, last in ends]
        with torch.inference_mode():
            values = self.policy.predict_values(torch.from_numpy(np.concatenate(rows)))[:, 0]
        known = values.numpy()
        buffer.values[:] = known[: steps * count].reshape(steps, count)
        buffer.rewards *= np.float32(self.config.reward_scale)
        place = (steps + 1) * count
        for step, ended, last in ends:
            beyond = known[place : place + len(last)]
            buffer.rewards[step, ended] += np.float32(self.config.gamma) * beyond
            place += len(last)
        buffer.compute_returns_and_advantage(values[steps * count :][:count], over)
        buffer.pos, buffer.full = steps, True

    def _ideals(self) -> NDArray[np.float64]:
        return self.config.world.ideal_rewards(self.episodes.links)
