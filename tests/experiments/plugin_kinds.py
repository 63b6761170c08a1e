"""Run kinds for tests of the machinery, loaded as a plug-in: quick ones and badly behaved ones."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from experiments.kinds.base import Config, Outcome, register
from sim.streams import stream


class TrivialConfig(Config):
    """What a trivial run computes with."""

    x: float = Field(1.0, description="a number")
    label: Literal["a", "b", "c"] = "a"
    seconds: float = Field(0.0, ge=0, le=5)


@register("trivial")
class Trivial:
    """Draws a few numbers; takes no time."""

    Config = TrivialConfig
    policies = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[dict[str, str]] = {
        "value": "1; higher is better",
        "count": "draws; neither is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        time.sleep(config["seconds"])
        draws = stream(config["seed"], {"label": config["label"]}, "draws").normal(size=8)
        order = sorted({f"k{i}" for i in range(20)})  # a set, whose own order depends on the hash
        value = float(config["x"] + draws.mean() + order.index("k3"))
        return Outcome(
            {"value": value, "count": len(draws)},
            {"draws": {"index": np.arange(8), "draw": draws}},
        )


@register("timed")
class Timed(Trivial):
    """The same, as if it timed the machine."""

    exclusive: ClassVar[bool] = True


class FaultyConfig(Config):
    """How a run misbehaves."""

    fault: Literal["none", "raise", "die", "hang", "grow", "nan"] = "none"
    index: int = 0


@register("faulty")
class Faulty:
    """Does well, raises, kills itself, hangs, eats memory, or reports NaN."""

    Config = FaultyConfig
    policies = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[dict[str, str]] = {"value": "1"}

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        fault = config["fault"]
        if fault == "raise":
            raise RuntimeError("as asked")
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(3600)
        if fault == "grow":
            _eat()
        return Outcome({"value": float("nan") if fault == "nan" else float(config["index"])})


def _eat() -> None:
    """Grow without end, one MiB that is really touched at a time."""
    hoard = []
    while True:
        hoard.append(np.ones(1 << 17))
