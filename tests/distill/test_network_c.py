"""Networks as C: the same numbers as elsewhere, in loops that compilers take without a word."""

from __future__ import annotations

import ctypes
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.setup.programs import run_program
from policies.congestion.networks import forward, packed
from policies.congestion.pruning import prune
from policies.distill.network_c import network_c
from policies.rules.c_source import FLAGS
from tests.congestion.made_networks import random_tensors

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
SHAPES = ([30, 32, 16, 1], [1, 1], [3, 1], [7, 5, 1], [2, 1, 1, 1])


def by_c(
    folder: Path, tensors: Any, sizes: list[int], rows: np.ndarray, *flags: str, **how: Any
) -> np.ndarray:
    """Return the actions of a network on rows, compiled without a warning."""
    scalar = ctypes.c_float if how.get("scalar") == "float" else ctypes.c_double
    source, made = folder / "network.c", folder / f"network_{len(list(folder.iterdir()))}.so"
    source.write_text(network_c(tensors, sizes, "decide", **how), encoding="utf-8")
    command = ["g++", "-x", "c", *FLAGS, *STRICT, *flags, "-shared", "-fPIC", str(source)]
    run_program([*command, "-lm", "-o", str(made)], timeout_s=100)
    function = ctypes.CDLL(str(made)).decide
    function.restype, function.argtypes = scalar, [ctypes.c_void_p]
    rows = np.ascontiguousarray(rows, np.dtype(scalar))
    return np.array([function(row.ctypes.data) for row in rows])


def expected(tensors: Any, sizes: list[int], rows: np.ndarray) -> np.ndarray:
    """Return the same by NumPy, in double precision."""
    values = rows
    for i in range(len(sizes) - 1):
        values = values @ tensors[f"w{i}"].astype(np.float64) + tensors[f"b{i}"]
        values = np.tanh(values) if i < len(sizes) - 2 else values
    return np.clip(values[:, 0], -1.0, 1.0)


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("sparse", [False, True])
def test_c_gives_the_networks_numbers(sizes: list[int], sparse: bool, tmp_path: Path) -> None:
    tensors = random_tensors(sizes, 3)
    rows = np.random.default_rng(0).normal(size=(50, sizes[0]))
    found = by_c(tmp_path, tensors, sizes, rows, sparse=sparse)
    assert found == pytest.approx(expected(tensors, sizes, rows), abs=1e-12)


def test_sums_are_in_the_order_of_the_controllers(tmp_path: Path) -> None:
    """Without a hidden layer there is no tanh, so that not a bit may differ."""
    sizes = [30, 1]
    tensors = random_tensors(sizes, 5, spread=0.2)
    rows = np.random.default_rng(1).normal(size=(40, 30))
    network, found = packed(tensors, sizes), []
    for row in rows:
        state = np.concatenate([row, np.zeros(1)])
        found.append(state[forward(state, 0, network, 0)])
    wanted = np.clip(found, -1.0, 1.0).tolist()
    assert by_c(tmp_path, tensors, sizes, rows).tolist() == wanted
    assert by_c(tmp_path, tensors, sizes, rows, "-O3", "-march=native").tolist() == wanted


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_what_is_pruned_may_be_left_out(share: float, tmp_path: Path) -> None:
    sizes = [6, 5, 4, 1]
    tensors = prune(random_tensors(sizes, 8), share)
    rows = np.random.default_rng(2).normal(size=(30, 6))
    dense = by_c(tmp_path, tensors, sizes, rows)
    assert by_c(tmp_path, tensors, sizes, rows, sparse=True).tolist() == dense.tolist()
    assert dense == pytest.approx(expected(tensors, sizes, rows), abs=1e-12)


def test_single_precision_is_near(tmp_path: Path) -> None:
    sizes = [30, 32, 16, 1]
    tensors = random_tensors(sizes, 4)
    rows = np.random.default_rng(3).normal(size=(60, 30))
    found = by_c(tmp_path, tensors, sizes, rows, scalar="float")
    assert found == pytest.approx(expected(tensors, sizes, rows), abs=1e-5)


def test_actions_stay_within_their_bounds(tmp_path: Path) -> None:
    tensors = {"w0": np.full((1, 1), 100.0, np.float32), "b0": np.zeros(1, np.float32)}
    rows = np.array([[-1.0], [0.0], [0.005], [1.0], [np.inf], [-np.inf], [np.nan]])
    found = by_c(tmp_path, tensors, [1, 1], rows)
    assert found[[0, 1, 3, 4, 5]].tolist() == [-1.0, 0.0, 1.0, 1.0, -1.0]
    assert found[2] == pytest.approx(0.5)
    assert np.isnan(found[6])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"name": "a-b"}, "cannot name a C function"),
        ({"name": "f(); int g"}, "cannot name a C function"),
        ({"name": ""}, "cannot name a C function"),
        ({"scalar": "long double"}, "must be double or float"),
        ({"sizes": [4, 3, 1]}, r"w0 must have the shape \(4, 3\)"),
        ({"sizes": [3, 4]}, "b0|w0"),
    ],
)
def test_bad_networks_are_refused(how: dict[str, Any], message: str) -> None:
    sizes, name = how.get("sizes", [3, 2, 1]), how.get("name", "f")
    with pytest.raises(ValueError, match=message):
        network_c(random_tensors([3, 2, 1], 0), sizes, name, scalar=how.get("scalar", "double"))


def test_several_outputs_are_refused() -> None:
    sizes = [3, 2]
    tensors = {f"{kind}{i}": np.zeros(shape, np.float32) for i, (a, b) in enumerate(pairwise(sizes))
               for kind, shape in (("w", (a, b)), ("b", (b,)))}  # fmt: skip
    with pytest.raises(ValueError, match="the last must be 1, got 2"):
        network_c(tensors, sizes, "f")
