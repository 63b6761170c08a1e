"""Which kernels run: pairs and padding where they were profiled faster, then one call each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuning.graph.functions import add_functions
from tuning.graph.options import Answer, Decision, GraphOptions, Layer, PadChoice, Tuner
from tuning.graph.padding import pad_args, slice_output
from tuning.graph.partition import Node, Parts
from tuning.graph.walk import Scope, rewrite
from tuning.operators import Conv2d, Gemm, Operator, Pair

if TYPE_CHECKING:
    import tvm


@dataclass
class Selection:
    """A module whose kernels are chosen.

    Attributes:
        module: calls functions with attribute Codegen, one per distinct operator.
        layers: the calls, in order of execution.
        decisions: every choice that was made by times.
    """

    module: tvm.IRModule
    layers: list[Layer] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


@dataclass
class _Step:
    """What becomes of one node: a kernel, padded or not; the first of a pair becomes none."""

    operator: Operator
    args: list[Any]
    padding: PadChoice | None = None


def select(parts: Parts, tuner: Tuner, options: GraphOptions) -> Selection:
    """Return the module with calls of the kernels that were profiled fastest.

    Args:
        parts: from `partition`.
        tuner: asked once per distinct operator.
        options: with the deciders.
    """
    chosen = Selection(parts.module)
    steps: dict[Any, _Step | None] = {}
    _choose_pairs(parts.nodes, tuner, options, chosen, steps)
    for node in parts.nodes:
        if node.var not in steps:
            padding = _choose_padding(node, tuner, options, chosen)
            steps[node.var] = _Step(node.operator, node.args, padding)
    symbols: dict[Operator, str] = {}
    for node in parts.nodes:
        step = steps[node.var]
        if step is not None:
            operator = step.padding.padded if step.padding else step.operator
            symbols.setdefault(operator, f"bolt_{len(symbols)}")
            chosen.layers.append(Layer(operator, tuner(operator).best))
    chosen.module = _apply(parts.module, steps, symbols)
    return chosen


def _choose_pairs(
    nodes: list[Node],
    tuner: Tuner,
    options: GraphOptions,
    chosen: Selection,
    steps: dict[Any, _Step | None],
) -> None:
    """Enter the pairs that were measured faster; a node is in one pair at most."""
    if options.decide_pair is None:
        return
    by_var = {node.var: node for node in nodes}
    decided: dict[tuple[Operator, Operator], bool] = {}
    for node in nodes:
        before = by_var.get(node.args[0])
        pair = _pair_of(before, node)
        if before is None or pair is None or before.var in steps:
            continue
        key = (pair.first, pair.second)
        if key not in decided:
            answer = options.decide_pair(pair.first, pair.second, tuner)
            apart_ns = answer.first.best.median_ns + answer.second.best.median_ns
            together_ns = answer.fused.best.median_ns if answer.fused else math.nan
            decided[key] = bool(answer.fuse and answer.fused is not None)
            chosen.decisions.append(
                Decision("pair", pair.text(), apart_ns, together_ns, decided[key], answer.reason)
            )
        if decided[key]:
            steps[before.var] = None
            steps[node.var] = _Step(pair, [*before.args, *node.args[1:]])


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


def _choose_padding(
    node: Node, tuner: Tuner, options: GraphOptions, chosen: Selection
) -> PadChoice | None:
    if options.decide_padding is None or not isinstance(node.operator, Gemm | Conv2d):
        return None
    choice = options.decide_padding(node.operator, tuner)
    if choice is None:
        return None
    subject = f"{node.operator.text()} as {choice.padded.text()}"
    if not any(decision.subject == subject for decision in chosen.decisions):
        chosen.decisions.append(
            Decision(
                "padding", subject, choice.plain_ns, choice.padded_ns, choice.pad, choice.reason
            )
        )
    return choice if choice.pad else None


def _apply(
    module: tvm.IRModule,
    steps: dict[Any, _Step | None],
    symbols: dict[Operator, str],
) -> tvm.IRModule:
    from tvm import relax

    module = add_functions(module, symbols)

    def rule(scope: Scope, var: Any, value: Any) -> Any:
        if var is None or isinstance(value, relax.Tuple):
            return value
        if var not in steps:
            return scope.emit(value)
        step = steps[var]
        if step is None:  # the first of a pair: its operands go to the second
            return value
        args = [scope.resolve(arg) for arg in step.args]
        operator = step.operator
        if step.padding:
            args = pad_args(scope, operator, step.padding.padded, args)
            operator = step.padding.padded
        called = module.get_global_var(symbols[operator])
        made = scope.emit(relax.Call(called, args))
        return slice_output(scope, step.operator, made) if step.padding else made

    module = rewrite(module, rule)
    return relax.transform.DeadCodeElimination(["main"])(module)


def tuned_once(tuner: Tuner) -> Tuner:
    """Return a tuner that asks for each operator once."""
    found: dict[Operator, Answer] = {}

    def ask(operator: Operator) -> Answer:
        if operator not in found:
            found[operator] = tuner(operator)
        return found[operator]

    return ask
