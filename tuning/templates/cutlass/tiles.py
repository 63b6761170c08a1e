"""The tens of tiles per architecture that the vendor's guidelines leave (Bolt section 3.2.2).

The paper gives the guidelines, not the list: large warp tiles within the register file, 4 or 8
warps, small blocks for small problems. The tiles of `sm_75` and `sm_80` are those that TVM's
upstream generator settled on (7 and 22, and `sm_75`'s run on `sm_80` too); other architectures
take what fits their shared memory. Depths are given for 16-bit elements: 8-bit ones are twice as
deep, so that a tile's bytes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuning.templates.cutlass.architecture import ELEMENT_BITS, Architecture, Shape
from tuning.templates.cutlass.params import NO_SHAPE, Residence, Schedule


@dataclass(frozen=True)
class Tile:
    """Shapes that go together.

    Attributes:
        block: tile of a threadblock.
        warp: of a warp (of a warp group on Hopper).
        instruction: of the tensor core.
        stages: tiles in flight; 0 is automatic.
        cluster: threadblocks that share loads.
        schedule: of Hopper's warps, or "".
    """

    block: Shape
    warp: Shape
    instruction: Shape
    stages: int
    cluster: Shape = (1, 1, 1)
    schedule: Schedule = ""


_Row = tuple[Shape, tuple[int, ...], Shape]
"""Threadblock tile, stages, warps along rows, columns and depth."""

_TURING: tuple[_Row, ...] = (
    ((256, 128, 32), (2,), (4, 2, 1)),
    ((128, 256, 32), (2,), (2, 4, 1)),
    ((128, 128, 32), (2,), (2, 2, 1)),
    ((64, 128, 32), (2,), (2, 2, 1)),
    ((128, 64, 32), (2,), (2, 2, 1)),
    ((64, 64, 32), (2,), (2, 2, 1)),
    ((64, 128, 64), (2,), (1, 2, 2)),
)
_AMPERE: tuple[_Row, ...] = (
    ((128, 256, 32), (3,), (2, 4, 1)),
    ((256, 128, 32), (3,), (4, 2, 1)),
    ((256, 64, 32), (3, 4), (4, 1, 1)),
    ((64, 256, 32), (4,), (1, 4, 1)),
    ((128, 128, 32), (3, 4, 5), (2, 2, 1)),
    ((128, 64, 32), (6,), (2, 2, 1)),
    ((64, 128, 32), (6,), (2, 2, 1)),
    ((64, 64, 32), (10,), (2, 2, 1)),
    ((256, 128, 64), (3,), (4, 2, 1)),
    ((128, 256, 64), (3,), (2, 4, 1)),
    ((256, 64, 64), (3, 4), (4, 1, 1)),
    ((64, 256, 64), (3, 4), (1, 4, 1)),
    ((128, 128, 64), (3, 4), (2, 2, 1)),
    ((128, 64, 64), (3,), (2, 2, 1)),
    ((64, 128, 64), (3,), (2, 2, 1)),
    ((64, 64, 64), (5,), (2, 2, 1)),
)
_HOPPER: tuple[tuple[Shape, tuple[Schedule, ...]], ...] = (
    ((128, 128, 64), ("cooperative",)),
    ((128, 256, 64), ("cooperative",)),
    ((256, 128, 64), ("cooperative",)),
    ((128, 64, 64), ("cooperative",)),
    ((64, 128, 64), ("pingpong", "warp_specialized")),
    ((64, 256, 64), ("pingpong", "warp_specialized")),
    ((64, 64, 64), ("pingpong", "warp_specialized")),
)
"""Our own choice by the same guidelines: warp groups of 64 rows, one or two of them."""
_CLUSTERS: tuple[Shape, ...] = ((1, 1, 1), (2, 1, 1), (1, 2, 1))


def tiles(arch: Architecture, element: str) -> tuple[Tile, ...]:
    """Return the tiles worth trying for `element`, those of the newer instruction first.

    Empty where the architecture does not multiply that element.
    """
    if element not in arch.own:
        return ()
    wide = 16 // ELEMENT_BITS[element]
    if arch.api == "3.x":
        return tuple(_hopper(arch.own[element], wide))
    found = []
    if arch.has_async_copy:
        found += _expanded(_AMPERE, arch.own[element], wide)
    turing = arch.older.get(element) if arch.has_async_copy else arch.own[element]
    if turing is not None:
        found += _expanded(_TURING, turing, wide)
    return tuple(tile for tile in found if _bytes(tile, element) <= arch.block_shared_bytes)


def _expanded(rows: tuple[_Row, ...], instruction: Shape, wide: int) -> Iterator[Tile]:
    for (m, n, k), stages, warps in rows:
        block = (m, n, k * wide)
        warp = (m // warps[0], n // warps[1], k * wide // warps[2])
        for count in stages:
            yield Tile(block, warp, instruction, count)


def _hopper(instruction: Shape, wide: int) -> Iterator[Tile]:
    for (m, n, k), schedules in _HOPPER:
        for schedule in schedules:
            rows = m // 2 if schedule == "cooperative" else m
            block, warp = (m, n, k * wide), (rows, n, k * wide)
            for cluster in _CLUSTERS:
                yield Tile(block, warp, instruction, 0, cluster, schedule)


def _bytes(tile: Tile, element: str) -> int:
    m, n, k = tile.block
    return (m + n) * k * tile.stages * ELEMENT_BITS[element] // 8


@dataclass(frozen=True)
class PairTile:
    """Shapes of a back-to-back kernel; as `Tile`, of both products."""

    first: Tile
    block1: Shape = NO_SHAPE
    warp1: Shape = NO_SHAPE
    residence: Residence = "register"


COLUMNS = (32, 64, 128, 256)
"""Columns that a threadblock may hold of either product."""
_ROWS = (64, 128)


def pair_tiles(arch: Architecture, element: str, n0: int, n1: int) -> Iterator[PairTile]:
    """Yield shapes that hold `n0` and `n1` columns, the least that do; none if too wide.

    Register-resident warps are slabs of 16 or 32 rows. Shared-resident ones are as square as four
    warps can be.
    """
    first = next((c for c in COLUMNS if c >= n0), None)
    second = next((c for c in COLUMNS if c >= n1), None)
    if first is None or second is None or element not in arch.own or arch.api == "3.x":
        return
    depth = 32 * 16 // ELEMENT_BITS[element]
    instruction = arch.own[element]
    for stages in (3, 4) if arch.has_async_copy else (2,):
        for rows in _ROWS:
            block, block1 = (rows, first, depth), (rows, second, depth)
            for slab in (32, 16):
                tile = Tile(block, (slab, first, depth), instruction, stages)
                yield PairTile(tile, block1, (slab, second, depth), "register")
            tile = Tile(block, _quarter(block), instruction, stages)
            yield PairTile(tile, block1, _quarter(block1), "shared")


def _quarter(block: Shape) -> Shape:
    """Return the warp tile of four warps: slabs of columns where a tile is much wider than high."""
    m, n, k = block
    return (m, n // 4, k) if n >= 4 * m else (m // 2, n // 2, k)
