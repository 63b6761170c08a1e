"""A rule in integers as the program takes it: a C function, and the formats that it expects."""

from __future__ import annotations

from dataclasses import dataclass

from emu.datapath.integers import Q_INPUT, Q_UNIT
from emu.datapath.problems import DatapathError
from policies.congestion.rule_inputs import INPUTS
from policies.registry import UnknownNameError
from policies.rules.fixed.c_source import c_fixed
from policies.rules.fixed.compile import compile_fixed
from policies.rules.rule import Rule
from policies.rules.syntax import RuleError

MOST_FRACTION = 60
_MOST_BITS = 62


def compiled(rule: Rule) -> Decision:
    """Return a rule of the language as a decision.

    Raises:
        DatapathError: it cannot be computed in integers of 64 bits, or reads what no flow has.
    """
    try:
        fixed = compile_fixed(rule)
    except RuleError as error:
        raise DatapathError(f"rule {rule.name!r} in integers: {error}") from None
    return Decision(
        name=rule.name,
        source=c_fixed(fixed, "decide"),
        function="decide",
        inputs=tuple(form.name for form in fixed.inputs),
        input_bits=tuple(form.fraction for form in fixed.inputs),
        action_bits=fixed.action.fraction,
    )


@dataclass(frozen=True)
class Decision:
    """What decides once per interval.

    Attributes:
        name: of the rule.
        source: C that defines `static __always_inline s64 FUNCTION(const s64 *inputs)`.
        function: the name of that function.
        inputs: names of what it reads, in its order.
        input_bits: fractional bits that it expects of each.
        action_bits: fractional bits of what it returns.

    Raises:
        DatapathError: no flow has such an input, or a format is out of range.
    """

    name: str
    source: str
    function: str
    inputs: tuple[str, ...]
    input_bits: tuple[int, ...]
    action_bits: int

    def __post_init__(self) -> None:
        for name in self.inputs:
            if name not in INPUTS:
                unknown = UnknownNameError("input", name, list(INPUTS))
                raise DatapathError(f"rule {self.name!r}: {unknown}")
        for bits in (*self.input_bits, self.action_bits):
            if not abs(bits) <= MOST_FRACTION:
                raise DatapathError(
                    f"rule {self.name!r}: {bits} fractional bits; formats have "
                    f"{-MOST_FRACTION} to {MOST_FRACTION}, so give its input wider bounds"
                )

    def header(self) -> str:
        """Return rule.h: the function, and `decide_on`, which hands it its inputs of the table.

        `decide_on` is a global function: the verifier looks at it once and alone, whatever led to
        its call. Otherwise ways through the program would multiply with those through the rule.
        """
        places = list(INPUTS)
        lines = [self.source, "__noinline s64 decide_on(struct dp_memory *m)", "{"]
        lines.append(f"\ts64 given[{max(1, len(self.inputs))}] = {{0}};\n")
        lines.append("\tif (!m)\n\t\treturn 0;")
        for i, (name, bits) in enumerate(zip(self.inputs, self.input_bits, strict=True)):
            value = _shifted(f"m->table[{places.index(name)}]", bits - Q_INPUT)
            lines.append(f"\tgiven[{i}] = {value}; /* {name} */")
        lines.append(f"\tconst s64 action = {self.function}(given);")
        lines.append(f"\treturn {_shifted('action', Q_UNIT - self.action_bits)};\n}}\n")
        return "\n".join(lines)


def _shifted(value: str, bits: int) -> str:
    """Return C for value x 2**bits, rounded to the nearest where bits are lost."""
    if bits < 0:
        return f"({value} + {1 << (-bits - 1)}LL) >> {-bits}"
    most = f"{1 << (_MOST_BITS - bits)}LL"
    return f"within({value}, -{most}, {most}) * {1 << bits}LL" if bits else value
