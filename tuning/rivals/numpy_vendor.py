"""NumPy: matmul by OpenBLAS into a reused array, then the epilogue, array by array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.operators.reference import Arrays
from tuning.rivals.base import Prepared, halves

Array = NDArray[np.float32]


class NumpyVendor:
    """`np.matmul(a, b, out=d)` and in-place steps; the products take threads, the steps do not."""

    name: ClassVar[str] = "numpy"

    def supports(self, operator: Operator) -> str | None:
        """Return the reason for what NumPy does not have: convolution, bfloat16."""
        first = operator.first if isinstance(operator, Pair) else operator
        if isinstance(first, Conv2d):
            return "NumPy has no convolution"
        if operator.epilogue.out_dtype == "bfloat16":
            return "NumPy has no bfloat16"
        return None

    def version(self) -> str:
        """Return such as `numpy 2.4.6, openblas 0.3.31`."""
        found: Any = np.show_config(mode="dicts")
        blas = found["Build Dependencies"]["blas"]
        return f"numpy {np.__version__}, {blas['name']} {blas['version']}"

    def prepare(self, operator: Operator, operands: Arrays, threads: int) -> Prepared:
        """Return the product and its steps; `threads` is what the environment said at start."""
        if reason := self.supports(operator):
            raise ValueError(reason)
        calls: list[Callable[[], Any]] = []
        source: Array | None = None
        for half, arrays in halves(operator, operands):
            assert isinstance(half, Gemm)
            made = np.empty(half.operands()[-1].shape, np.float32)
            calls += _half(half, arrays, source, made)
            source = made
        assert source is not None
        stored: NDArray[Any] = source
        if operator.epilogue.out_dtype == "float16":
            stored = np.empty(source.shape, np.float16)
            calls.append(lambda made=source, to=stored: np.copyto(to, made, casting="same_kind"))

        def run() -> None:
            for call in calls:
                call()

        return Prepared(run, lambda: stored, "product by OpenBLAS; each step a pass over memory")


def _half(half: Gemm, arrays: Arrays, source: Array | None, made: Array) -> list[Callable[[], Any]]:
    """Return the calls that compute one GEMM into `made`."""
    a = arrays["a"] if source is None else source
    b = arrays["b"]
    if half.constant_b:  # one B for all rows of all products
        a, flat = a.reshape(-1, half.k), made.reshape(-1, half.n)
    else:
        flat = made
    calls: list[Callable[[], Any]] = [lambda: np.matmul(a, b, out=flat)]
    spare = np.empty_like(made) if {*half.epilogue.steps} - {"bias", "residual", "relu"} else None
    for step in half.epilogue.steps:
        if step in ("bias", "residual"):
            calls.append(lambda more=arrays[step]: np.add(made, more, out=made))
        elif step == "relu":
            calls.append(lambda: np.maximum(made, np.float32(0), out=made))
        else:
            assert spare is not None
            calls.append(lambda do=_STEPS[step], spare=spare: do(made, spare))
    return calls


def _gelu(x: Array, spare: Array) -> None:
    from scipy.special import erf

    np.multiply(x, np.float32(np.sqrt(0.5)), out=spare)
    erf(spare, out=spare)
    np.add(spare, np.float32(1), out=spare)
    np.multiply(x, spare, out=x)
    np.multiply(x, np.float32(0.5), out=x)


def _hardswish(x: Array, spare: Array) -> None:
    np.add(x, np.float32(3), out=spare)
    np.clip(spare, np.float32(0), np.float32(6), out=spare)
    np.multiply(x, spare, out=x)
    np.multiply(x, np.float32(1 / 6), out=x)


def _silu(x: Array, spare: Array) -> None:
    np.negative(x, out=spare)
    np.minimum(spare, np.float32(80), out=spare)  # exp stays finite
    np.exp(spare, out=spare)
    np.add(spare, np.float32(1), out=spare)
    np.divide(x, spare, out=x)


def _softplus(x: Array, spare: Array) -> None:
    np.abs(x, out=spare)
    np.negative(spare, out=spare)
    np.exp(spare, out=spare)
    np.log1p(spare, out=spare)
    np.maximum(x, np.float32(0), out=x)
    np.add(x, spare, out=x)


_STEPS: dict[str, Callable[[Array, Array], None]] = {
    "gelu": _gelu,
    "hardswish": _hardswish,
    "silu": _silu,
    "softplus": _softplus,
}
