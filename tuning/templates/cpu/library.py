"""The CPU's template library: which candidates there are, which guidelines choose, what they cost.

The space is the product of register tiles, ways of reaching A, unrolling, cache blocks and
threads; `native.py` says which tens are worth measuring, `model.py` what each may cost.
"""

from __future__ import annotations

from itertools import product

from tuning.operators import Conv2d, Operator
from tuning.space import Candidate, Device, Value
from tuning.templates.base import Source
from tuning.templates.cpu import model
from tuning.templates.cpu import native as guidelines
from tuning.templates.cpu import render as rendering
from tuning.templates.cpu.device import ISA_LANES, device, isas
from tuning.templates.cpu.params import (
    BLOCK_COLUMNS,
    BLOCK_DEPTHS,
    BLOCK_ROWS,
    GATHERS,
    TILES,
    UNROLLS,
    Blocks,
    Tile,
    fault,
    halves,
    implicit_gemm,
    run_length,
    template_of,
)


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
            self._candidate(operator, tile, unroll, gather, blocks, self.device.cores, stream)
            for tile in TILES[self.isa]
            for unroll, gather, stream in product(UNROLLS, GATHERS, (False, True))
            for blocks in product(BLOCK_ROWS, BLOCK_COLUMNS, BLOCK_DEPTHS)
        ]
        return [c for c in dict.fromkeys(found) if self.rejected(operator, c) is None]

    def native(self, operator: Operator) -> list[Candidate]:
        """Return tens of candidates, best guess first."""
        found = [
            self._candidate(operator, *choice)
            for choice in guidelines.choices(operator, self.isa, self.device)
        ]
        legal = [c for c in dict.fromkeys(found) if self.rejected(operator, c) is None]
        return legal[: guidelines.MOST]

    def _candidate(
        self,
        operator: Operator,
        tile: Tile,
        unroll: int,
        gather: str,
        blocks: Blocks,
        threads: int,
        stream: bool = False,
    ) -> Candidate:
        compiled: dict[str, Value] = {
            "isa": self.isa,
            "tile_rows": tile[0],
            "tile_vectors": tile[1],
            "unroll": unroll,
            "gather": gather,
            "aligned": self._is_aligned(operator, tile[1], unroll, gather, blocks[2]),
        }
        names = rendering.BLOCKS
        runtime: dict[str, Value] = dict(zip(names, (*blocks, threads, stream), strict=True))
        return Candidate.of(template_of(operator), compiled, runtime)

    def _is_aligned(
        self, operator: Operator, vectors: int, unroll: int, gather: str, depth: int
    ) -> bool:
        """Return whether the variant without remainders computes the operator."""
        width = vectors * ISA_LANES[self.isa]
        for half in halves(operator):
            _, columns, k = implicit_gemm(half)
            if (
                columns % width
                or run_length(half, gather) % unroll
                or (depth < k and depth % unroll)
            ):
                return False
        return True

    def rejected(self, operator: Operator, candidate: Candidate) -> str | None:
        """Return why the candidate cannot compute the operator, or None."""
        params = candidate.params
        if candidate.template != template_of(operator):
            return f"is a template for {candidate.template}, not {template_of(operator)}"
        if reason := fault(params):
            return reason
        if params["isa"] not in isas():
            return f"needs {params['isa']}, which this CPU lacks"
        tile = (int(params["tile_rows"]), int(params["tile_vectors"]))
        if params["gather"] == "padded" and not isinstance(halves(operator)[0], Conv2d):
            return "gathers from a padded image, and the operator has none"
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
        return None

    def render(self, operator: Operator, candidate: Candidate) -> Source:
        """Return the candidate's source.

        Raises:
            ValueError: a parameter is none that the templates have.
        """
        return rendering.render(operator, candidate)

    def estimate_s(self, operator: Operator, candidate: Candidate) -> float:
        """Return the analytical model's seconds for one call; see `model`."""
        return model.estimate_s(operator, candidate, self.device)
