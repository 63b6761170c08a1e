"""Who decides on the links of a batch: networks by what they observe, rules by a table, branches.

The judge steps many links at once and asks an actor between two steps. Rules know the inputs of
`policies.congestion.rule_inputs`, which are not what the environment shows: so an actor that needs
them keeps a table of its own, made of the rows in which the environment tells each monitor
interval. A rule that acts here decides to the bit as the controller made of it does in the packet
engine (`policies.congestion.symbolic`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.congestion.interval_features import MEMORY
from policies.congestion.rule_inputs import EMPTY, INPUTS, update_many
from policies.registry import UnknownNameError
from policies.rules.evaluate import evaluate_many
from policies.rules.rule import Rule

if TYPE_CHECKING:
    from sim.net.envs.batch import Batch

Policy = Callable[[NDArray[np.float32]], NDArray[Any]]
"""From observations, float32[n, inputs], to actions, float[n] or float[n, 1]."""
Actions = NDArray[np.float64]
Table = NDArray[np.float64]
"""float64[n, WIDTH] of `rule_inputs`, columns as its INPUTS."""


@runtime_checkable
class Actor(Protocol):
    """Decides on every link of a batch, and may remember what it saw of them."""

    def begin(self, batch: Batch) -> None:
        """Hear that episodes of all links of the batch begin."""
        ...

    def act(self, batch: Batch) -> Actions:
        """Return float64[n]: actions on what the batch shows; called once between two steps."""
        ...


def as_actor(policy: Policy | Actor) -> Actor:
    """Return the actor itself, or one that asks the function of observations."""
    return policy if isinstance(policy, Actor) else OnObservations(policy)


def _answered(answer: ArrayLike, count: int) -> Actions:
    """Return a policy's answer as float64[count]."""
    actions = np.asarray(answer)
    if actions.shape not in ((count,), (count, 1)):
        raise ValueError(f"policy: answered with shape {actions.shape} for {count} links")
    return actions.reshape(count).astype(np.float64)


class OnObservations:
    """A network, or any function of observations; it gets a copy of them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def begin(self, batch: Batch) -> None:
        """Remember nothing: observations hold all the history there is."""

    def act(self, batch: Batch) -> Actions:
        """Return the policy's answer.

        Raises:
            ValueError: it has the wrong shape.
        """
        return _answered(self.policy(batch.observations.copy()), batch.count)


class Tables:
    """The tables of rule inputs of n links, kept up to date.

    Attributes:
        values: float64[n, WIDTH], columns as `rule_inputs.INPUTS`.
    """

    values: Table

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, count: int) -> None:
        """Empty the tables, for `count` links to which nothing happened yet."""
        self.values = np.tile(np.array(EMPTY, np.float64), (count, 1))
        self._stepped = False

    def take_in(self, batch: Batch) -> None:
        """Take in the interval of each link that the last step brought.

        Where that step ended an episode, nothing has happened yet in the next one.

        Raises:
            ValueError: the batch has another number of links, or its environment tells no rows.
        """
        state = batch.state
        if "row" not in state.dtype.names:
            raise ValueError(
                f"{batch.model.NAME}: tells no rows of intervals, which tables of rule inputs are "
                "made of; use triptych/Pcc-v1"
            )
        if batch.count != len(self.values):
            raise ValueError(
                f"tables: begun for {len(self.values)} links, not {batch.count}; begin again"
            )
        memory = np.stack([state[name] for name in MEMORY], axis=1)
        update_many(self.values, state["row"], memory)
        self.values[batch.truncated] = EMPTY

    def current(self, batch: Batch) -> Table:
        """Return a copy of the tables as they are before a decision; call it once for each.

        The first decision of an episode is on empty tables; before any other the last interval is
        taken in.

        Raises:
            ValueError: as `take_in`.
        """
        if self._stepped:
            self.take_in(batch)
        self._stepped = True
        return self.values.copy()


class OnTable:
    """Any function of the table, from float64[n, WIDTH] to actions, float[n] or float[n, 1]."""

    def __init__(self, policy: Callable[[Table], NDArray[Any]]) -> None:
        self.policy, self.tables = policy, Tables()

    def begin(self, batch: Batch) -> None:
        """Empty the table."""
        self.tables.begin(batch.count)

    def act(self, batch: Batch) -> Actions:
        """Bring the table up to date and return the policy's answer.

        Raises:
            ValueError: the answer has the wrong shape; or as `Tables.take_in`.
        """
        return _answered(self.policy(self.tables.current(batch)), batch.count)


class RuleActor(OnTable):
    """A symbolic rule.

    Attributes:
        rule: what it goes by.
    """

    def __init__(self, rule: Rule) -> None:
        """Take a rule.

        Raises:
            ValueError: the table has no such input; the message offers the nearest name.
        """
        for given in rule.inputs:
            if given.name not in INPUTS:
                raise ValueError(
                    f"rule {rule.name}: {UnknownNameError('input', given.name, INPUTS)}"
                )
        super().__init__(self._decide)
        self.rule = rule

    def _decide(self, table: Table) -> Actions:
        return evaluate_many(self.rule, dict(zip(INPUTS, table.T, strict=True)))


class Branched:
    """Several actors; before each step a decider says for each link whose turn it is.

    Every actor follows all links, so that one whose turn comes knows what happened before.
    """

    def __init__(
        self,
        decide: Callable[[Table], NDArray[Any]],
        actors: Sequence[Policy | Actor],
    ) -> None:
        """Take a decider and actors.

        Args:
            decide: from the table, float64[n, WIDTH], to places in `actors`, int[n].
            actors: of the branches, each an object of its own.

        Raises:
            ValueError: there is no actor, or one is given twice.
        """
        self.decide, self.actors, self.tables = decide, _distinct(actors), Tables()

    def begin(self, batch: Batch) -> None:
        """Empty the decider's table, and let every actor begin."""
        self.tables.begin(batch.count)
        for actor in self.actors:
            actor.begin(batch)

    def act(self, batch: Batch) -> Actions:
        """Return of each link the action of the actor whose turn it is.

        Raises:
            ValueError: the decider answers with what is no place in `actors` per link; or an actor
                raises it.
        """
        answer = self.decide(self.tables.current(batch))
        labels = _labels("decide", answer, batch.count, len(self.actors))
        return _chosen(self.actors, labels, batch)


class ByLink:
    """Several actors; who acts on a link is known beforehand: a decider that makes no errors.

    It is what a real decider is compared with: what its errors cost.
    """

    def __init__(self, labels: ArrayLike, actors: Sequence[Policy | Actor]) -> None:
        """Take labels and actors.

        Args:
            labels: int[n], a place in `actors` for each link of the batches that will begin.
            actors: of the branches, each an object of its own.

        Raises:
            ValueError: there is no actor, one is given twice, or a label is no place among them.
        """
        self.actors = _distinct(actors)
        self.labels = _labels("labels", labels, np.size(labels), len(self.actors))

    def begin(self, batch: Batch) -> None:
        """Let every actor begin.

        Raises:
            ValueError: the batch has another number of links than there are labels.
        """
        if batch.count != len(self.labels):
            raise ValueError(f"labels: {len(self.labels)} for {batch.count} links; give one each")
        for actor in self.actors:
            actor.begin(batch)

    def act(self, batch: Batch) -> Actions:
        """Return of each link the action of its actor."""
        return _chosen(self.actors, self.labels, batch)


def _distinct(actors: Sequence[Policy | Actor]) -> tuple[Actor, ...]:
    found = tuple(as_actor(actor) for actor in actors)
    if not found or len({id(actor) for actor in found}) < len(found):
        raise ValueError(
            "actors: at least one, each an object of its own, as each remembers what it saw; "
            f"got {len(found)}"
        )
    return found


def _labels(what: str, given: ArrayLike, count: int, actors: int) -> NDArray[np.intp]:
    labels = np.asarray(given)
    whole = labels.shape == (count,) and labels.dtype.kind in "iu"
    if not whole or not ((labels >= 0) & (labels < actors)).all():
        raise ValueError(
            f"{what}: must be whole numbers of 0 to {actors - 1}, one for each of {count} links; "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.intp)


def _chosen(actors: Sequence[Actor], labels: NDArray[np.intp], batch: Batch) -> Actions:
    answers = np.stack([actor.act(batch) for actor in actors])
    return answers[labels, np.arange(batch.count)]
