"""The same policy in C, compiled as controllers are, and in NumPy: functions that decide often.

All go through the same states, one after another, and read the next one only where the last action
is known, so that no two decisions overlap. C is compiled as a sender would have it: decision and
loop are two files, so that the decision is called and not woven into the loop.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.setup.programs import run_program
from policies.congestion.networks import packed
from policies.congestion.pruning import multiply_adds, sparse_layers
from policies.congestion.rule_inputs import INPUTS
from policies.distill import decision_loops
from policies.distill.actors import OnObservations, Tables
from policies.distill.judge import begun
from policies.distill.network_c import network_c
from policies.rules.c_source import FLAGS, c_function
from policies.rules.evaluate import evaluate_many
from policies.rules.opcodes import SLOTS
from policies.rules.program import compile_rule
from policies.rules.rule import Rule
from sim.streams import stream

if TYPE_CHECKING:
    from policies.distill.weights import Network
    from policies.distill.worlds import World

Form = Callable[[int], float]
"""Does so many decisions; returns the sum of the actions."""
Array = NDArray[np.float64]

COMPILER = "g++"
NATIVE = ("-std=c99", "-O3", "-march=native", "-ffp-contract=off")
FUSED = ("-std=c99", "-O3", "-march=native", "-ffp-contract=fast")
"""With fused multiply-add, which a network may use: nobody promises its bits."""
SHARED = ("-shared", "-fPIC", "-fvisibility=hidden")
COMPILE_S = 120.0

_LOOP = """\
SCALAR decide(const SCALAR *inputs);

__attribute__((visibility("default")))
double decisions(const SCALAR *rows, long width, long count, long wanted)
{
    double total = 0.0;
    long at = 0;
    for (long i = 0; i < wanted; i++) {
        const double action = decide(rows + at * width);
        total += action;
        at += 1 + (action > 2.0); /* never, but the next state waits for it */
        if (at >= count)
            at = 0;
    }
    return total;
}
"""


@dataclass(frozen=True, eq=False)
class States:
    """What flows knew when they decided.

    Attributes:
        observations: float64[n, inputs], what a network sees.
        tables: float64[n, WIDTH], what rules may ask, columns as `rule_inputs.INPUTS`.
    """

    observations: Array
    tables: Array


def states_of(teacher: Network, world: World, seeds: list[int], count: int, seed: int) -> States:
    """Return `count` states, drawn from one episode of the teacher on the link of each seed.

    Raises:
        ValueError: there are fewer.
    """
    batch, actor, tables = begun(world, seeds), OnObservations(teacher), Tables()
    actor.begin(batch)
    tables.begin(batch.count)
    seen, asked = [], []
    for _ in range(world.config.steps):
        seen.append(batch.observations.astype(np.float64))
        asked.append(tables.current(batch))
        batch.step(actor.act(batch)[:, None])
    observations, values = np.concatenate(seen), np.concatenate(asked)
    if len(values) < count:
        raise ValueError(f"states: {count} wanted, {len(values)} met; ask for more links or steps")
    chosen = stream(seed, {"of": "decision cost"}, "states").permutation(len(values))[:count]
    return States(observations[chosen], values[chosen])


def rule_forms(rule: Rule, states: States, folder: Path) -> dict[str, Form]:
    """Return the forms of a rule: c, c_native, compiled, numpy.

    Raises:
        ValueError: it has an input that the table has not.
        ProgramError: there is no compiler, or it failed.
    """
    known = list(INPUTS)
    unknown = [i.name for i in rule.inputs if i.name not in INPUTS]
    if unknown:
        raise ValueError(f"rule {rule.name}: the table has no input {unknown[0]!r}")
    rows = np.ascontiguousarray(states.tables[:, [known.index(i.name) for i in rule.inputs]])
    source, program = c_function(rule, "decide"), compile_rule(rule)
    slots = int(program[SLOTS])
    names = [i.name for i in rule.inputs]
    columns = [dict(zip(names, row[:, None], strict=True)) for row in rows]
    return {
        "c": by_c(source, "double", FLAGS, rows, folder / "c"),
        "c_native": by_c(source, "double", NATIVE, rows, folder / "c_native"),
        "compiled": lambda wanted: decision_loops.rule_decisions(program, slots, rows, wanted),
        "numpy": _in_turn(columns, lambda given: float(evaluate_many(rule, given)[0])),
    }


def network_forms(network: Network, states: States, folder: Path) -> dict[str, Form]:
    """Return the forms of a network: those of a rule, and c_float, in single precision.

    Where weights were removed, C and compiled loops leave them out; NumPy multiplies by zeros.

    Raises:
        ProgramError: there is no compiler, or it failed.
    """
    tensors, sizes, rows = network.tensors, network.sizes, states.observations
    pruned = multiply_adds(tensors) < network.multiplications
    sources = {
        scalar: network_c(tensors, sizes, "decide", scalar=scalar, sparse=pruned)
        for scalar in ("double", "float")
    }
    if pruned:
        layers, widths = sparse_layers(tensors, sizes), np.array(sizes, np.int64)

        def compiled(wanted: int) -> float:
            return decision_loops.pruned_decisions(layers, widths, rows, wanted)
    else:
        dense, room = packed(tensors, sizes), sum(sizes)

        def compiled(wanted: int) -> float:
            return decision_loops.network_decisions(dense, room, rows, wanted)

    singles = rows.astype(np.float32)
    each = [row[None] for row in rows]
    return {
        "c": by_c(sources["double"], "double", FLAGS, rows, folder / "c"),
        "c_native": by_c(sources["double"], "double", NATIVE, rows, folder / "c_native"),
        "c_float": by_c(sources["float"], "float", FUSED, singles, folder / "c_float"),
        "compiled": compiled,
        "numpy": _in_turn(each, lambda given: min(1.0, max(-1.0, float(network(given)[0])))),
    }


def dense_native(network: Network, states: States, folder: Path) -> Form:
    """Return a whole network as C at its best in double precision, which others are compared with.

    Raises:
        ProgramError: there is no compiler, or it failed.
    """
    source = network_c(network.tensors, network.sizes, "decide")
    return by_c(source, "double", NATIVE, states.observations, folder)


def by_c(
    source: str, scalar: str, flags: tuple[str, ...], rows: NDArray[np.floating], folder: Path
) -> Form:
    """Return the loop over a decision in C.

    Args:
        source: of `SCALAR decide(const SCALAR *inputs)`.
        scalar: `double` or `float`, as `rows` are.
        flags: of the compiler.
        rows: [n, inputs].
        folder: for the files; it is made, and must stay while the loop is used.

    Raises:
        ProgramError: there is no compiler, or it failed.
    """
    folder.mkdir(parents=True)
    decision, loop, made = (folder / name for name in ("decide.c", "loop.c", "decide.so"))
    decision.write_text(source, encoding="utf-8")
    loop.write_text(_LOOP.replace("SCALAR", scalar), encoding="utf-8")
    # g++ forgets the language after each file.
    files = ("-x", "c", str(decision), "-x", "c", str(loop), "-lm", "-o", str(made))
    run_program([COMPILER, *flags, *SHARED, *files], timeout_s=COMPILE_S)
    function = ctypes.CDLL(str(made)).decisions
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_long]
    values = np.ascontiguousarray(rows)
    count, width = values.shape
    return lambda wanted: function(values.ctypes.data, width, count, wanted)


def _in_turn(given: list, decide: Callable[..., float]) -> Form:
    """Return the loop over a decision in Python."""

    def form(wanted: int) -> float:
        total, at, count = 0.0, 0, len(given)
        for _ in range(wanted):
            total += decide(given[at])
            at += 1
            if at >= count:
                at = 0
        return total

    return form


def disagreement(forms: Mapping[str, Form], decisions: int) -> float:
    """Return how far the forms' mean actions over so many decisions lie apart."""
    means = [form(decisions) / decisions for form in forms.values()]
    return max(means) - min(means)
