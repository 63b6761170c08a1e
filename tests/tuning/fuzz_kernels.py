"""Random operators on random candidates of every instruction set, checked against PyTorch.

Each unit has one random epilogue (pairs two), so a seed meets some fifty chains of steps, not
all; every single activation is checked by `test_kernels_laws`, more chains by other seeds.

By hand: `python -m tests.tuning.fuzz_kernels --cases 20000 [--seed S]`.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tuning import kernel
from tuning.compile import ObjectCache
from tuning.operators import Conv2d, Epilogue, Gemm, Operator, Pair
from tuning.operators.epilogue import OUT_DTYPES, STEPS
from tuning.operators.reference import mismatch, random_operands
from tuning.space import Candidate
from tuning.templates.cpu.device import ISA_LANES, isas
from tuning.templates.cpu.library import CpuTemplates, template_of
from tuning.templates.cpu.params import GATHERS, TILES, UNROLLS

KINDS = ("gemm", "given", "conv2d", "pair_gemm", "pair_conv2d")
LARGEST = 4096
MOST_FLOPS = 10_000_000
MOST_FLOATS = 500_000
GUARD_BYTES = 1024
POISON = 0xFF
"""Four of these bytes are a NaN: whoever reads them shows it in its numbers."""


@dataclass(frozen=True)
class Unit:
    """What is compiled once and meets many shapes."""

    kind: str
    isa: str
    compiled: dict[str, Any]
    epilogues: tuple[Epilogue, Epilogue]

    def candidate(self, operator: Operator, luck: np.random.Generator) -> Candidate:
        """Return a candidate with random blocks, smaller and larger than the problem."""
        unroll = int(self.compiled["unroll"]) if self.compiled["aligned"] else 1
        blocks = {
            "block_rows": _size(luck, 600),
            "block_columns": _size(luck, 600),
            "block_depth": -(-_size(luck, 2000) // unroll) * unroll,
            "threads": int(luck.integers(1, 3)),
            "stream": bool(luck.integers(2)),
        }
        return Candidate.of(template_of(operator), self.compiled, blocks)


def units(seed: int) -> list[Unit]:
    """Return a unit for each kind, way of reaching A and instruction set, one in four aligned."""
    luck = np.random.default_rng([seed, 1])
    found = []
    drawn = itertools.product(isas(), KINDS, GATHERS)
    wanted = [one for one in drawn if one[2] != "padded" or one[1] in ("conv2d", "pair_conv2d")]
    for number, (isa, kind, gather) in enumerate(wanted):
        rows, vectors = TILES[isa][number % len(TILES[isa])]
        compiled = {
            "isa": isa,
            "tile_rows": rows,
            "tile_vectors": vectors,
            "unroll": int(luck.choice(UNROLLS)),
            "gather": gather,
            "aligned": number % 4 == 3,
        }
        found.append(Unit(kind, isa, compiled, (_epilogue(luck, False), _epilogue(luck, True))))
    return found


def _size(luck: np.random.Generator, largest: int = LARGEST) -> int:
    return int(np.exp(luck.uniform(0, np.log(largest + 1))))


def _epilogue(luck: np.random.Generator, converts: bool) -> Epilogue:
    steps: list[str] = []
    for step in luck.choice(STEPS, luck.integers(0, 4)):
        if str(step) not in steps:
            steps.append(str(step))
    return Epilogue(tuple(steps), str(luck.choice(OUT_DTYPES)) if converts else "float32")


def random_operator(unit: Unit, luck: np.random.Generator) -> Operator:
    """Return an operator that the unit computes, of bounded work."""
    while True:
        operator = _draw(unit, luck)
        if operator is None or operator.flops > MOST_FLOPS:
            continue
        if all(o.size <= MOST_FLOATS for o in operator.operands()):
            return operator


def _draw(unit: Unit, luck: np.random.Generator) -> Operator | None:
    width, depth = 1, 1
    if unit.compiled["aligned"]:
        width = unit.compiled["tile_vectors"] * ISA_LANES[unit.isa]
        depth = int(np.lcm(width, unit.compiled["unroll"]))
    first, last = unit.epilogues

    def wide() -> int:
        return -(-_size(luck) // width) * width

    def deep() -> int:
        return -(-_size(luck) // depth) * depth

    m, batch = _size(luck), _size(luck, 8)
    if unit.kind in ("gemm", "given"):
        return Gemm(m, wide(), deep(), batch, unit.kind == "gemm", last)
    if unit.kind == "pair_gemm":
        middle = deep()
        return Pair(
            Gemm(m, middle, deep(), batch, True, first),
            Gemm(m, wide(), middle, batch, True, last),
        )
    pair = unit.kind == "pair_conv2d"
    columns = deep() if pair else wide()
    try:
        conv = Conv2d(
            *(batch, _size(luck, 400), _size(luck, 400), deep(), columns),
            *(_two(luck, 1, 6), _two(luck, 1, 4), _two(luck, 0, 5), _two(luck, 1, 4)),
            first if pair else last,
        )
    except ValueError:
        return None  # the kernel is larger than the image
    if not pair:
        return conv
    second = Conv2d(
        *(batch, conv.out_height, conv.out_width, columns, wide()),
        *((1, 1), (1, 1), (0, 0), (1, 1), last),
    )
    return Pair(conv, second)


def _two(luck: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    return int(luck.integers(low, high)), int(luck.integers(low, high))


class Guarded:
    """Allocates with poison inside and on both sides, and tells whether the sides were written."""

    def __init__(self) -> None:
        self._raw: list[tuple[NDArray[np.uint8], int]] = []

    def empty(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Stand in for `tuning.kernel.aligned_empty`."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = np.full(size + 2 * GUARD_BYTES + 64, POISON, np.uint8)
        start = GUARD_BYTES + -(raw.ctypes.data + GUARD_BYTES) % 64
        self._raw.append((raw, size))
        return raw[start : start + size].view(dtype).reshape(shape)

    def damage(self) -> str | None:
        """Return what was written out of bounds, or None."""
        for number, (raw, size) in enumerate(self._raw):
            start = GUARD_BYTES + -(raw.ctypes.data + GUARD_BYTES) % 64
            for side, part in (("before", raw[:start]), ("after", raw[start + size :])):
                if (part != POISON).any():
                    return f"wrote {side} allocation {number} of {size} bytes"
        return None


def run_case(operator: Operator, candidate: Candidate, path: Path, seed: int) -> str | None:
    """Return what is wrong with one call, or None."""
    operands, guarded = random_operands(operator, seed), Guarded()
    with mock.patch.object(kernel, "aligned_empty", guarded.empty):
        made = kernel.Kernel(path, operator, candidate, operands)
    made()
    found = mismatch(operator, operands, made.output) or guarded.damage()
    if found is None and candidate.params["threads"] == 1:
        before = made.output.copy()
        made()
        if made.output.tobytes() != before.tobytes():
            found = "a second call gave other bits"
    return found


def failures(cases: int, seed: int) -> Iterator[str]:
    """Run `cases` random cases and yield a description of each that failed or did not run."""
    luck = np.random.default_rng([seed, 2])
    drawn, library = units(seed), CpuTemplates(threads=2)
    examples = []
    for unit in drawn:
        operator = random_operator(unit, luck)
        examples.append(library.render(operator, unit.candidate(operator, luck)))
    objects = ObjectCache().compile(examples)
    for unit, made in zip(drawn, objects, strict=True):
        if made.path is None:
            yield f"{unit}: {made.message}"
    for case in range(cases):
        unit, made = drawn[case % len(drawn)], objects[case % len(drawn)]
        operator = random_operator(unit, luck)
        candidate = unit.candidate(operator, luck)
        if made.path is None:
            found = "was not compiled"
        elif reason := CpuTemplates(unit.isa).rejected(operator, candidate):
            found = f"was not run: {reason}"
        else:
            found = run_case(operator, candidate, made.path, case)
        if found:
            yield f"case {case} of seed {seed}: {operator.text()}: {candidate.text()}: {found}"


def main() -> None:
    """Run as many cases as asked and say how it went."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    failed = 0
    for found in failures(asked.cases, asked.seed):
        failed += 1
        print(found, flush=True)
    print(f"{asked.cases} cases, {failed} failed")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
