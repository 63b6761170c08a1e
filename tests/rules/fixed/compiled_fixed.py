"""Rules in integers, compiled for user space with undefined behaviour trapped."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.setup.programs import run_program
from policies.rules.fixed.c_source import c_fixed
from policies.rules.fixed.compile import FixedRule

STRICT = ("-Wall", "-Wextra", "-Werror")
TRAPS = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
Rows = NDArray[np.int64]


def caller(name: str, width: int) -> str:
    """Return a C function that applies a rule's function to rows."""
    return (
        f"void {name}_rows(const s64 *rows, long count, s64 *actions);\n"
        f"void {name}_rows(const s64 *rows, long count, s64 *actions)\n"
        f"{{\n    for (long i = 0; i < count; i++)\n"
        f"        actions[i] = {name}(rows + {width} * i);\n}}\n"
    )


def by_c(folder: Path, rules: Sequence[FixedRule], *flags: str) -> list[Callable[[Rows], Rows]]:
    """Return what decides by each rule, compiled into one shared object; overflow would trap."""
    names = [f"rule_{n}" for n in range(len(rules))]
    parts = [
        f"{c_fixed(rule, name)}{caller(name, len(rule.inputs))}"
        for name, rule in zip(names, rules, strict=True)
    ]
    count = len(list(folder.iterdir()))  # what was loaded under a name stays: take another
    source, made = folder / f"fixed_{count}.c", folder / f"fixed_{count}.so"
    source.write_text("\n".join(parts), encoding="utf-8")
    command = ["g++", "-x", "c", "-std=c99", "-O2", "-Wpedantic", *STRICT, *TRAPS, *flags]
    run_program([*command, "-shared", "-fPIC", str(source), "-o", str(made)], timeout_s=250)
    library = ctypes.CDLL(str(made))
    return [_decider(library[f"{name}_rows"]) for name in names]


def _decider(function: Callable[..., object]) -> Callable[[Rows], Rows]:
    def decide(rows: Rows) -> Rows:
        rows = np.ascontiguousarray(rows)
        actions = np.empty(len(rows), np.int64)
        function(
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_long(len(rows)),
            ctypes.c_void_p(actions.ctypes.data),
        )
        return actions

    return decide
