"""The CPU's template library: which candidates there are, which guidelines choose, what they cost.

The space is the product of register tiles, ways of reaching A, unrolling, cache blocks and
threads. `native` is Bolt's section 3.2.2 restated for a CPU: the largest register tiles that the
register file holds (compute per load), at least as many blocks as threads, smaller tiles and
blocks for small problems.
"""

from __future__ import annotations

from itertools import product

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.space import Candidate, Device
from tuning.templates.base import Source
from tuning.templates.cpu import render as rendering
from tuning.templates.cpu.device import ISA_LANES, device, isas

TILES = {
    "avx512": ((12, 2), (8, 3), (6, 4), (14, 2), (8, 2), (4, 4), (6, 2), (4, 2), (14, 1), (8, 1)),
    "avx2": ((6, 2), (4, 3), (3, 4), (4, 2), (2, 4), (8, 1), (4, 1)),
    "generic": ((6, 2), (4, 3), (4, 2), (4, 1)),
}
"""(rows, vectors) per instruction set, the largest first; accumulators fit the register file."""

UNROLLS = (1, 4, 8)
GATHERS = ("direct", "rows", "strips")
BLOCK_ROWS = (24, 48, 96, 192, 384)
BLOCK_COLUMNS = (64, 256, 1024)
BLOCK_DEPTHS = (256, 512, 1 << 30)


class CpuTemplates:
    """The library for one instruction set and number of threads.

    Raises:
        ValueError: the CPU lacks the instruction set, or `threads` is not positive.
    """

    name = "cpu"
    compiler = "g++"

    def __init__(self, isa: str | None = None, threads: int | None = None) -> None:
        if isa is not None and isa not in isas():
            raise ValueError(f"isa: this CPU has {', '.join(isas())}, not {isa}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads: {threads} is not positive")
        self.isa = isa or isas()[0]
        self.device: Device = device(self.isa, threads)
        self.version = rendering.version()

    def candidates(self, operator: Operator) -> list[Candidate]:
        """Return the whole space that is legal for the operator."""
        found = [
            self._candidate(operator, tile, unroll, gather, blocks)
            for tile, unroll, gather in product(TILES[self.isa], UNROLLS, GATHERS)
            for blocks in product(BLOCK_ROWS, BLOCK_COLUMNS, BLOCK_DEPTHS)
        ]
        return [c for c in dict.fromkeys(found) if self.rejected(operator, c) is None]

    def native(self, operator: Operator) -> list[Candidate]:
        """Return tens of candidates, best guess first."""
        rows, columns, _ = implicit_gemm(operator)
        found = []
        for tile, gather in product(TILES[self.isa][:4], ("direct", "rows")):
            for block_rows in self._block_rows(rows, tile[0]):
                for depth in (512, 1 << 30):
                    blocks = (block_rows, min(1024, columns), depth)
                    found.append(self._candidate(operator, tile, 4, gather, blocks))
        return [c for c in dict.fromkeys(found) if self.rejected(operator, c) is None]

    def _block_rows(self, rows: int, tile_rows: int) -> list[int]:
        """Return two heights: the largest that gives every thread a block, and half of it."""
        share = max(1, rows // self.device.cores)
        largest = max(tile_rows, min(192, share) // tile_rows * tile_rows)
        return list(dict.fromkeys((largest, max(tile_rows, largest // 2 // tile_rows * tile_rows))))

    def _candidate(
        self,
        operator: Operator,
        tile: tuple[int, int],
        unroll: int,
        gather: str,
        blocks: tuple[int, int, int],
    ) -> Candidate:
        compiled = {
            "isa": self.isa,
            "tile_rows": tile[0],
            "tile_vectors": tile[1],
            "unroll": unroll,
            "gather": gather,
            "aligned": self._is_aligned(operator, tile[1], unroll, gather, blocks[2]),
        }
        names = rendering.BLOCKS
        runtime = dict(zip(names, (*blocks, self.device.cores), strict=True))
        return Candidate.of(template_of(operator), compiled, runtime)

    def _is_aligned(
        self, operator: Operator, vectors: int, unroll: int, gather: str, depth: int
    ) -> bool:
        """Return whether the variant without remainders computes the operator."""
        width = vectors * ISA_LANES[self.isa]
        halves = (operator.first, operator.second) if isinstance(operator, Pair) else (operator,)
        for half in halves:
            _, columns, k = implicit_gemm(half)
            run = half.in_channels if isinstance(half, Conv2d) and gather == "direct" else k
            if columns % width or run % unroll or (depth < k and depth % unroll):
                return False
        return True

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        """Return why the candidate cannot compute the operator, or None."""
        params = candidate.params
        if candidate.template != template_of(operator):
            return f"is a template for {candidate.template}, not {template_of(operator)}"
        if params.get("isa") not in isas():
            return f"needs {params.get('isa')}, which this CPU lacks"
        tile = (int(params["tile_rows"]), int(params["tile_vectors"]))
        room = self.device.vector_registers
        if tile[0] * tile[1] + tile[1] + 1 > room:
            return f"register tile {tile[0]}x{tile[1]} needs more than {room} vector registers"
        if params["aligned"] and not self._is_aligned(
            operator,
            tile[1],
            int(params["unroll"]),
            str(params["gather"]),
            int(params["block_depth"]),
        ):
            return "is the aligned variant, and the shape leaves remainders"
        if min(int(params[name]) for name in rendering.BLOCKS) < 1:
            return "has a block or a number of threads below 1"
        return None

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        """Return the candidate's source."""
        return rendering.render(operator, candidate)

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        """Return a roofline estimate: not yet aware of tiles."""
        return operator.flops / (self.device.flops * self.device.cores)


def template_of(operator: Operator) -> str:
    """Return the name of the template that computes `operator`."""
    return {Gemm: "gemm", Conv2d: "conv2d", Pair: "pair"}[type(operator)]


def implicit_gemm(operator: Operator) -> tuple[int, int, int]:
    """Return rows, columns and depth of an operator's (first) product."""
    if isinstance(operator, Pair):
        return implicit_gemm(operator.first)
    if isinstance(operator, Conv2d):
        return operator.as_gemm
    if isinstance(operator, Gemm):
        rows = operator.batch * operator.m if operator.constant_b else operator.m
        return rows, operator.n, operator.k
    raise TypeError(f"no template for {type(operator).__name__}")
