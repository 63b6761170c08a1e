"""Rules through C and through the stack machine, on many rows of inputs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from experiments.setup.programs import run_program
from policies.rules import machine
from policies.rules import opcodes as op
from policies.rules.c_source import FLAGS, c_function
from policies.rules.program import compile_rule
from policies.rules.rule import Rule

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
Rows = NDArray[np.float64]


def loop(name: str, width: int) -> str:
    """Return a C function that applies a rule's function to rows."""
    return (
        f"void {name}_rows(const double *rows, long count, double *actions)\n"
        f"{{\n    for (long i = 0; i < count; i++)\n"
        f"        actions[i] = {name}(rows + {width} * i);\n}}\n"
    )


def by_c(folder: Path, rules: Sequence[Rule], rows: Rows, *flags: str) -> list[Rows]:
    """Return the actions of each rule, compiled into one shared object with `flags` as well."""
    names = [f"rule_{n}" for n in range(len(rules))]
    parts = [
        f"double {name}(const double *inputs);\n{c_function(rule, name)}"
        f"void {name}_rows(const double *rows, long count, double *actions);\n"
        f"{loop(name, len(rule.inputs))}"
        for name, rule in zip(names, rules, strict=True)
    ]
    count = len(list(folder.iterdir()))  # what was loaded under a name stays: take another
    source, made = folder / f"rules_{count}.c", folder / f"rules_{count}.so"
    source.write_text("\n".join(parts), encoding="utf-8")
    command = ["g++", "-x", "c", *FLAGS, *STRICT, *flags, "-shared", "-fPIC"]
    run_program([*command, str(source), "-lm", "-o", str(made)], timeout_s=200)
    library = ctypes.CDLL(str(made))
    rows = np.ascontiguousarray(rows)
    found = []
    for name in names:
        actions = np.empty(len(rows))
        address, result = rows.ctypes.data, actions.ctypes.data
        library[f"{name}_rows"](
            ctypes.c_void_p(address), ctypes.c_long(len(rows)), ctypes.c_void_p(result)
        )
        found.append(actions)
    return found


@njit
def machine_rows(program, start, rows, slots):
    width = rows.shape[1]
    row = np.empty(width + slots)
    actions = np.empty(len(rows))
    for n in range(len(rows)):
        for i in range(width):
            row[i] = rows[n, i]
        actions[n] = machine.run(program, start, row, 0, width)
    return actions


def by_machine(rule: Rule, rows: Rows) -> Rows:
    program = compile_rule(rule)
    return machine_rows(program, 0, rows, int(program[op.SLOTS]))
