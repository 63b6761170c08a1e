"""Which kernels run: pairs and padding where they were profiled faster, then one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.graph.copies import Copy, add_copies, copies_of
from tuning.graph.decisions import Decider
from tuning.graph.functions import add_functions
from tuning.graph.options import Answer, Decision, GraphOptions, Layer, Tuner
from tuning.graph.padding import pad_args, slice_output
from tuning.graph.partition import Node, Parts
from tuning.graph.untyped import relax_untyped
from tuning.graph.walk import Scope, rewrite, shape_of
from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.profile import NothingMeasuredError

if TYPE_CHECKING:
    import tvm


@dataclass
class Selection:
    """A module whose kernels are chosen.

    Attributes:
        module: calls functions with attribute Codegen, one per distinct operator.
        layers: the calls, in order of execution.
        decisions: every choice that was made by times.
        left: operators for which no kernel could be measured, and why; TVM lowers them.
    """

    module: tvm.IRModule
    layers: list[Layer]
    decisions: list[Decision]
    left: dict[Operator, str]


@dataclass
class _Step:
    """What becomes of one node: a kernel, padded or not; the first of a pair becomes none."""

    operator: Operator
    args: list[Any]
    padded: Operator | None = None


def select(parts: Parts, tuner: Tuner, options: GraphOptions) -> Selection:
    """Return the module with calls of the kernels that were profiled fastest.

    Args:
        parts: from `partition`.
        tuner: asked once per distinct operator.
        options: with the deciders.

    Raises:
        NothingMeasuredError: no operator at all has a kernel.
    """
    decider = Decider(tuner, options)
    steps = _pairs(parts.nodes, decider)
    for node in parts.nodes:
        if node.var not in steps:
            padded = decider.padded(node.operator)
            steps[node.var] = _Step(node.operator, node.args, padded)
    symbols: dict[Operator, str] = {}
    layers: list[Layer] = []
    left: dict[Operator, str] = {}
    failure: NothingMeasuredError | None = None
    for node in parts.nodes:
        step = steps[node.var]
        if step is not None:
            operator = step.padded or step.operator
            symbols.setdefault(operator, f"bolt_{len(symbols)}")
            try:
                layers.append(Layer(operator, tuner(operator).best))
            except NothingMeasuredError as error:
                left[operator], failure = str(error), error
    if failure is not None and not layers:
        raise failure
    module = add_functions(parts.module, symbols, left)
    copies = _copies(steps)
    module = _apply(add_copies(module, copies), steps, symbols, copies)
    return Selection(module, layers, decider.made, left)


def _copies(steps: dict[Any, _Step | None]) -> dict[Copy, str]:
    """Return copy -> symbol of all that padded steps may need."""
    pairs = [(step.operator, step.padded) for step in steps.values() if step]
    found = [copy for plain, padded in pairs if padded for copy in copies_of(plain, padded)]
    return {copy: f"bolt_copy_{place}" for place, copy in enumerate(dict.fromkeys(found))}


def _pairs(nodes: list[Node], decider: Decider) -> dict[Any, _Step | None]:
    """Return the steps of the pairs that save most; a node is in one pair at most.

    Every candidate for a pair is asked about. Where pairs overlap, as in a chain A-B-C, those are
    taken that save the most time together. In a chain every node has one predecessor and one user
    at most, so what is best for its beginning extends to what is best for all of it.
    """
    by_var = {node.var: node for node in nodes}
    chained: dict[Any, Any] = {}
    pairs: dict[Any, tuple[Node, Pair]] = {}
    total: dict[Any, float] = {}
    for node in nodes:
        total[node.var] = 0.0
        before = by_var.get(node.args[0])
        pair = _pair_of(before, node)
        if before is None or pair is None:
            continue
        chained[node.var], total[node.var] = before.var, total[before.var]
        saved_ns = decider.saves_ns(pair)
        if saved_ns is None:
            continue
        fused = total.get(chained.get(before.var), 0.0) + saved_ns
        if fused > total[before.var]:
            total[node.var] = fused
            pairs[node.var] = (before, pair)
    steps: dict[Any, _Step | None] = {}
    for node in reversed(nodes):
        if node.var in pairs and node.var not in steps:
            before, pair = pairs[node.var]
            steps[before.var] = None
            steps[node.var] = _Step(pair, [*before.args, *node.args[1:]])
    return steps


def _pair_of(before: Node | None, node: Node) -> Pair | None:
    """Return both as one operator if the first is needed by the second alone and they fit."""
    if before is None or before.users != 1 or before.var in node.args[1:]:
        return None
    first, second = before.operator, node.operator
    if not isinstance(first, Gemm | Conv2d) or not isinstance(second, Gemm | Conv2d):
        return None
    try:
        return Pair(first, second)
    except ValueError:
        return None


def _apply(
    module: tvm.IRModule,
    steps: dict[Any, _Step | None],
    symbols: dict[Operator, str],
    copies: dict[Copy, str],
) -> tvm.IRModule:
    from tvm import relax

    def call(scope: Scope, symbol: str, args: list[Any]) -> Any:
        return scope.emit(relax.Call(module.get_global_var(symbol), args))

    def rule(scope: Scope, var: Any, value: Any) -> Any:
        if var is None or isinstance(value, relax.Tuple):
            return value
        if var not in steps:
            return scope.emit(value)
        step = steps[var]
        if step is None:  # the first of a pair: its operands go to the second
            return value
        args = [
            _shaped(scope, scope.resolve(arg), operand.shape)
            for arg, operand in zip(step.args, step.operator.operands(), strict=False)
        ]
        padded = step.padded
        if padded is None:
            return _shaped(scope, call(scope, symbols[step.operator], args), shape_of(var))

        def copied(copy: Copy, tensor: Any) -> Any:
            return call(scope, copies[copy], [tensor])

        args = pad_args(step.operator, padded, args, copied)
        output = call(scope, symbols[padded], args)
        output = slice_output(step.operator, padded, output, copied)
        return _shaped(scope, output, shape_of(var))

    module = rewrite(module, rule)
    return relax.transform.DeadCodeElimination(["main"])(module)


def _shaped(scope: Scope, tensor: Any, shape: tuple[int, ...]) -> Any:
    """Return a tensor in an operator's own shape, a view: a product takes all rows as one axis."""
    relax = relax_untyped()

    if shape_of(tensor) == shape:
        return tensor
    return scope.emit(relax.op.reshape(tensor, shape))


def tuned_once(tuner: Tuner) -> Tuner:
    """Return a tuner that asks for each operator once, and fails again where it failed."""
    found: dict[Operator, Answer | NothingMeasuredError] = {}

    def ask(operator: Operator) -> Answer:
        if operator not in found:
            try:
                found[operator] = tuner(operator)
            except NothingMeasuredError as error:
                found[operator] = error
        answer = found[operator]
        if isinstance(answer, NothingMeasuredError):
            raise answer
        return answer

    return ask
