"""A run kind for tests that compares policies, with a nested part in its configuration."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Config, Outcome, register
from policies.ordering.base import ORDERS
from sim.streams import stream


class Sum(Config):
    """One of two parts."""

    kind: Literal["sum"] = "sum"


class Partial(Config):
    """The other part."""

    kind: Literal["partial"]
    h: float = Field(ge=0, le=1)


class ComparedConfig(Config):
    """What a compared run computes with."""

    x: float = 1.0
    count: int = Field(1, ge=1)
    mode: Literal["slow", "medium", "fast"] = "slow"
    part: Annotated[Sum | Partial, Field(discriminator="kind")] = Sum()


@register("compared")
class Compared:
    """`score` is x times a factor of the policy, with noise that the policies share."""

    Config = ComparedConfig
    policies = ORDERS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[dict[str, str]] = {
        "score": "1; higher is better",
        "cost": "s; lower is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        luck = 1 + 0.1 * stream(config["seed"], {"x": config["x"]}, "luck").random()
        return Outcome({"score": config["x"] * luck * len(config["policy"]), "cost": luck})
