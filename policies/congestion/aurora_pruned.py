"""Aurora's published network with most of its weights removed, in the deployed sender.

The baselines of Sharan et al. (NeurIPS 2022) between a network and a rule: the weights of
`aurora_udt` pruned by magnitude, without retraining, by 50, 80 and 90 %. Sender and limits are
`aurora_udt`'s; only the multiply-adds of a decision are fewer: 744, 298 and 149 of 1488.

Deviation: how the authors pruned is not published. Here all layers are pruned together, which
gives the counts that are reported; with `per_layer` = 1 each layer by itself (744, 297, 149).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion.aurora import (
    ACTION,
    HIDDEN,
    INPUT,
    SECOND,
    SIZES,
    WEIGHTS,
    Aurora,
    AuroraUdt,
    udt_init,
    udt_listen,
    udt_steer,
)
from policies.congestion.aurora import PARAMETERS as PER_LAYER
from policies.congestion.base import register
from policies.congestion.hooks import hook
from policies.congestion.networks import read_safetensors
from policies.congestion.pruning import prune, sparse, sparse_layers

LAYERS = PER_LAYER + 1
"""First constant of the network; PER_LAYER is the last parameter."""


@njit(cache=True)
def decide_sparsely(state: Any, constants: Any) -> None:
    """Set ACTION to the pruned network's output for the history."""
    at = sparse(state, INPUT, HIDDEN, SIZES[1], constants, LAYERS, True)
    at = sparse(state, HIDDEN, SECOND, SIZES[2], constants, at, True)
    sparse(state, SECOND, ACTION, SIZES[3], constants, at, False)


@hook
def pruned_on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Act after each interval, from the first one with an ACK on."""
    if udt_listen(state, interval):
        decide_sparsely(state, constants)
        udt_steer(state, interval, constants)


class AuroraPruned(Aurora):
    """What the three have in common.

    Parameters: those of `aurora_udt`; `per_layer` (1: each layer is pruned by itself).
    """

    share: ClassVar[float]
    parameters: ClassVar[Mapping[str, float]] = {**AuroraUdt.parameters, "per_layer": 0.0}
    init = udt_init
    on_interval = pruned_on_interval

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, then the weights that are left.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range, or the file of
                weights is damaged.
        """
        own = super().constants(parameters)[:LAYERS]
        if own[PER_LAYER] not in (0.0, 1.0):
            raise ValueError(
                f"controller {cls.name!r}: per_layer must be 0 or 1, got {own[PER_LAYER]}"
            )
        left = prune(read_safetensors(WEIGHTS), cls.share, per_layer=own[PER_LAYER] == 1.0)
        return np.concatenate([own, sparse_layers(left, SIZES)])


@register("aurora_pruned_50")
class AuroraPruned50(AuroraPruned):
    """Aurora as deployed, without the smallest 50 % of its weights; see `AuroraPruned`."""

    share = 0.5


@register("aurora_pruned_80")
class AuroraPruned80(AuroraPruned):
    """Aurora as deployed, without the smallest 80 % of its weights; see `AuroraPruned`."""

    share = 0.8


@register("aurora_pruned_90")
class AuroraPruned90(AuroraPruned):
    """Aurora as deployed, without the smallest 90 % of its weights; see `AuroraPruned`."""

    share = 0.9
