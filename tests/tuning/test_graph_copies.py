"""The copy that padding costs: numpy's numbers at every width, and nothing beyond its tensors."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.compile import ObjectCache
from tuning.decide.copying import copy_dims
from tuning.decide.race import clock_source

_NO_ACCESS = 0

widths = st.sampled_from([(3, 4), (4, 3), (3, 8)]) | st.tuples(
    st.integers(1, 70), st.integers(1, 70)
)


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    (made,) = ObjectCache().compile([clock_source()])
    assert made.path is not None, made.message
    return ctypes.CDLL(str(made.path))


@given(rows=st.integers(1, 40), width=widths, threads=st.integers(1, 3))
def test_a_copy_fills_up_with_zeros_or_leaves_out_the_end(
    library: ctypes.CDLL, rows: int, width: tuple[int, int], threads: int
) -> None:
    given, made = width
    guarded = np.full((rows * made + 8,), 7.0, np.float32)
    x = np.random.default_rng(rows).standard_normal((rows, given), dtype=np.float32)
    args = (ctypes.c_void_p * 2)(x.ctypes.data, guarded.ctypes.data)
    dims = (ctypes.c_int64 * 3)(*copy_dims((rows, given), (rows, made)))
    library.triptych_copy(args, dims, (ctypes.c_int64 * 1)(threads), None)
    wanted = np.zeros((rows, made), np.float32)
    kept = min(given, made)
    wanted[:, :kept] = x[:, :kept]
    np.testing.assert_array_equal(guarded[: rows * made].reshape(rows, made), wanted)
    assert (guarded[rows * made :] == 7.0).all()


def test_a_copy_of_pictures_reads_nothing_beyond_its_tensor(library: ctypes.CDLL) -> None:
    """The last row ends where a page ends that must not be read; a fault would end the process."""
    import mmap

    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    rows = 100
    x = np.frombuffer(memory, np.float32, rows * 3, page - rows * 12)
    x[:] = np.arange(rows * 3)
    y = np.zeros((rows, 4), np.float32)
    assert protect(start + page, page, _NO_ACCESS) == 0
    args = (ctypes.c_void_p * 2)(x.ctypes.data, y.ctypes.data)
    library.triptych_copy(args, (ctypes.c_int64 * 3)(rows, 3, 4), (ctypes.c_int64 * 1)(2), None)
    np.testing.assert_array_equal(y[:, :3], x.reshape(rows, 3))
    assert (y[:, 3] == 0).all()
