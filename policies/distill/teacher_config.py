"""What a teacher's training is made of: links, network, PPO's parameters, schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from policies.distill.worlds import CORRECTED, LEGACY, World
from policies.registry import UnknownNameError
from sim.net.envs.config import EnvConfig
from sim.net.problems import ScenarioError, number, whole

PART = "TeacherConfig"
PCC_RL_STEPS = 3_936_000
NO_LIMIT = 1e9


@dataclass(frozen=True)
class TeacherConfig:
    """Parameters of one training.

    Defaults of PPO and of the networks are PCC-RL's (`src/gym/stable_solve.py`, and PPO1 of
    stable-baselines, which it calls). PPO1 does not clip gradients and weighs the value loss by 1.

    Attributes:
        world: environment and links.
        seed: of weights, links, noise and minibatches.
        total_steps: environment steps; training ends with the batch that reaches them.
        parallel: links stepped at once, their episodes spread evenly over an episode's phases.
        batch_steps: environment steps between two updates, over all links.
        minibatch: of them in one step of the optimiser.
        epochs: passes over a batch.
        learning_rate: Adam's.
        anneal: whether it falls linearly to 0 over the training; else it is constant.
        adam_epsilon: Adam's.
        gamma, gae_lambda: discount, and the decay of advantages.
        clip: how far the ratio of probabilities may leave 1.
        entropy: weight of the entropy bonus.
        value_weight: weight of the value loss.
        gradient_norm: gradients are shortened to it.
        hidden: widths of the tanh layers, of policy and value network alike.
        log_std: logarithm of the action's standard deviation at first; then learnt.
        reward_scale: rewards are multiplied by it in training, nowhere else.
        evaluate_every: environment steps between two evaluations on validation links.
        validation_links: how many; one episode each.
        checkpoint_every: batches between two checkpoints.
    """

    world: World
    seed: int = 0
    total_steps: int = PCC_RL_STEPS
    parallel: int = 128
    batch_steps: int = 8192
    minibatch: int = 2048
    epochs: int = 4
    learning_rate: float = 1e-3
    anneal: bool = False
    adam_epsilon: float = 1e-5
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value_weight: float = 1.0
    gradient_norm: float = NO_LIMIT
    hidden: tuple[int, ...] = (32, 16)
    log_std: float = 0.0
    reward_scale: float = 1.0
    evaluate_every: int = 20 * 8192
    validation_links: int = 200
    checkpoint_every: int = 40

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the policy network's layers, inputs and output included."""
        return (self.world.inputs, *self.hidden, 1)

    @property
    def batches(self) -> int:
        """Updates until `total_steps` are reached."""
        return -(-self.total_steps // self.batch_steps)

    @property
    def batches_per_evaluation(self) -> int:
        """Updates between two evaluations, at least 1."""
        return max(1, self.evaluate_every // self.batch_steps)

    def check(self) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        self.world.config.check(tuple(self.world.model.FEATURES))
        whole(PART, "seed", self.seed)
        whole(PART, "total_steps", self.total_steps, 1, 10**12)
        whole(PART, "parallel", self.parallel, 1, 65_536)
        whole(PART, "batch_steps", self.batch_steps, 2, 1 << 24)
        whole(PART, "minibatch", self.minibatch, 2, self.batch_steps)
        for field in ("parallel", "minibatch"):
            if self.batch_steps % (divisor := getattr(self, field)):
                raise ScenarioError(
                    f"{PART}: {field} must divide batch_steps = {self.batch_steps}, got {divisor}"
                )
        whole(PART, "epochs", self.epochs, 1, 1000)
        whole(PART, "evaluate_every", self.evaluate_every, 1)
        whole(PART, "validation_links", self.validation_links, 2, 100_000)
        whole(PART, "checkpoint_every", self.checkpoint_every, 1)
        whole(PART, "layers in hidden", len(self.hidden), 1, 6)
        for place, width in enumerate(self.hidden):
            whole(PART, f"hidden[{place}]", width, 1, 4096)
        if not isinstance(self.anneal, bool):
            raise ScenarioError(f"{PART}: anneal must be true or false, got {self.anneal!r}")
        for name in ("learning_rate", "adam_epsilon", "gradient_norm", "reward_scale"):
            number(PART, name, getattr(self, name), above=0.0)
        for name in ("entropy", "value_weight"):
            number(PART, name, getattr(self, name))
        for name in ("gamma", "gae_lambda"):
            number(PART, name, getattr(self, name), at_least=0.0, below=1.0)
        number(PART, "clip", self.clip, above=0.0, below=1.0)
        number(PART, "log_std", self.log_std, at_least=-20.0, below=20.0)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        own = asdict(self) | {"world": self.world.as_json(), "hidden": list(self.hidden)}
        return {name: own[name] for name in self.__dataclass_fields__}


def legacy(**changes: Any) -> TeacherConfig:
    """Return PCC-RL's training, changed where `changes` says so."""
    return TeacherConfig(**{"world": World(LEGACY, EnvConfig.legacy()), **changes})


def corrected(**changes: Any) -> TeacherConfig:
    """Return the training on `triptych/Pcc-v1`, on links from 1 to 100 Mbit/s."""
    return TeacherConfig(**{"world": World(CORRECTED, corrected_links()), **changes})


def corrected_links(**changes: Any) -> EnvConfig:
    """Return the corrected environment's parameters, changed where `changes` says so.

    1 to 100 Mbit/s and 2 to 200 ms one way, both log-uniform; random loss to 10 %; starts from a
    twentieth of the capacity, so that the way up from far below is part of the lesson.
    """
    fields: dict[str, Any] = {
        "bandwidth_bps": (1e6, 1e8),
        "log_bandwidth": True,
        "delay_s": (0.002, 0.2),
        "log_delay": True,
        "loss": (0.0, 0.1),
        "start_share": (0.05, 1.5),
    }
    return EnvConfig(**{**fields, **changes})


PRESETS: dict[str, Callable[..., TeacherConfig]] = {"legacy": legacy, "corrected": corrected}


def preset(name: str, **changes: Any) -> TeacherConfig:
    """Return the training called `name`, changed where `changes` says so.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in PRESETS:
        raise UnknownNameError("teacher", name, PRESETS)
    return PRESETS[name](**changes)
