"""Specialists: a teacher of its own for each context, and all of them as one labeller.

SymbolicPCC trains a separate agent in each context and distils it into that context's branch
(Sharan et al., NeurIPS 2022, Fig. 3; what its agents start from is not published). A specialist is
trained like the teacher, on links of its context alone, and may go on from the teacher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policies.distill.contexts import Context, contexts_of, label, write_contexts
from policies.distill.storage import digest_of, read_json
from policies.distill.teacher_config import TeacherConfig
from policies.distill.weights import Network, read_network, write_network
from policies.distill.worlds import World
from sim.streams import canonical_json

if TYPE_CHECKING:  # torch is needed to train, not to use what was trained
    from policies.distill.course import Row

CONTEXTS = "contexts.json"
WEIGHTS = "specialist_{}.safetensors"


# paper: symbolicpcc specialists
def train_specialists(
    contexts: Sequence[Context],
    config: TeacherConfig,
    folder: Path,
    progress: Callable[[int, Row], None] | None = None,
    first: Network | None = None,
) -> tuple[Network, ...]:
    """Train one network per context, or go on where that was interrupted.

    Args:
        contexts: whose links they learn on.
        config: of each training, but for its world, of which each gets its context's links.
        folder: of the checkpoints; what is finished in it is read, not trained again.
        progress: is told the number of the context and each row of its learning curve.
        first: the policy that each goes on from; None: from nothing.

    Raises:
        ValueError: a context holds no link of the world, or as `teacher.train`.
        OSError: the folder cannot be written.
    """
    from policies.distill.teacher import train

    configs = [specialised(context, config) for context in contexts]
    networks = []
    for number, own in enumerate(configs):
        told = None if progress is None else partial(progress, number)
        networks.append(train(own, folder / name_of(own, first), told, first).network)
    return tuple(networks)


def specialised(context: Context, config: TeacherConfig) -> TeacherConfig:
    """Return the same training on the links of a context alone."""
    return replace(config, world=context.world(config.world))


def name_of(config: TeacherConfig, first: Network | None = None) -> str:
    """Return a name of a training of its own: one that differs in anything has another."""
    told = config.as_json() if first is None else {**config.as_json(), "first": first.digest}
    digest = hashlib.sha256(canonical_json(told).encode()).hexdigest()
    return f"{digest[:16]}-seed{config.seed}"


class ContextTeachers:
    """A policy of n links: each is answered by the network of the context that it lies in.

    It knows what no sender knows, so it is a labeller of roll-outs and a bound on what specialists
    can do, not a controller.
    """

    def __init__(
        self,
        contexts: Sequence[Context],
        networks: Sequence[Network],
        conditions: Mapping[str, NDArray[Any]],
    ) -> None:
        """Look up the contexts of the links.

        Args:
            contexts: that divide all links.
            networks: one per context.
            conditions: of the links, in the order of the rows that will be asked about.

        Raises:
            ValueError: there are more networks or fewer than contexts; or as `contexts.label`.
        """
        if len(networks) != len(contexts):
            raise ValueError(f"specialists: {len(networks)} networks for {len(contexts)} contexts")
        self.networks = tuple(networks)
        self.labels = label(contexts, conditions)

    def __call__(self, observations: NDArray[Any]) -> NDArray[np.float64]:
        """Return float64[n]: the actions on observations float[n, inputs] of all links.

        Raises:
            ValueError: wrong shape.
        """
        if len(observations) != len(self.labels):
            raise ValueError(
                f"specialists: {len(observations)} observations of {len(self.labels)} links"
            )
        actions = np.empty(len(observations))
        for number, network in enumerate(self.networks):
            own = self.labels == number
            actions[own] = network(observations[own])
        return actions


def write_specialists(
    folder: Path,
    contexts: Sequence[Context],
    networks: Sequence[Network],
    told: Mapping[str, Any],
    each: Sequence[Mapping[str, Any]],
) -> None:
    """Put contexts and their networks into a folder; those of more contexts than these go.

    Args:
        folder: gets contexts.json and specialist_<i>.{safetensors,json}.
        contexts: that divide all links.
        networks: one per context.
        told: what else to say of the contexts; JSON values.
        each: what else to say of each network.
    """
    paths = [folder / WEIGHTS.format(number) for number in range(len(networks))]
    for path, network, said in zip(paths, networks, each, strict=True):
        write_network(path, network, said)
    files = [{"file": path.name, "sha256": digest_of(path)} for path in paths]
    write_contexts(folder / CONTEXTS, contexts, {**told, "specialists": files})
    for path in folder.glob(WEIGHTS.format("*")):
        if path not in paths:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)


def read_specialists(folder: Path) -> tuple[tuple[Context, ...], tuple[Network, ...]]:
    """Return contexts and networks that `write_specialists` put into a folder.

    Raises:
        OSError: a file cannot be read.
        ValueError: one is damaged, or they do not belong together; the message names it.
    """
    where = folder / CONTEXTS
    told = read_json(where)
    contexts, files = contexts_of(told.get("contexts"), str(where)), told.get("specialists")
    if not isinstance(files, list) or len(files) != len(contexts):
        raise ValueError(f"{where}: specialists must be a list of one file per context")
    networks = []
    for number, (context, file) in enumerate(zip(contexts, files, strict=True)):
        path = folder / WEIGHTS.format(number)
        if not isinstance(file, dict) or file.get("sha256") != digest_of(path):
            raise ValueError(f"{path}: is not the file whose sha256 {where.name} tells")
        network = read_network(path)
        if not _lies_in(context, network.world):
            raise ValueError(f"{path}: was trained on links that context {number} does not hold")
        networks.append(network)
    return contexts, tuple(networks)


def _lies_in(context: Context, world: World) -> bool:
    """Return whether all links of a world lie in a context."""
    try:
        return context.world(world) == world
    except ValueError:  # none does
        return False
