"""The chains that become one kernel: a product, then an epilogue (Bolt section 3.1)."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tuning.graph.walk import GraphError, call_name, is_constant, shape_of, value_of
from tuning.operators import ACTIVATIONS

PREFIX = "bolt"
_CONV2D, _GEMM = "relax.nn.conv2d", "relax.matmul"
_CALLS = {
    **{name: f"relax.nn.{name}" for name in ("relu", "gelu", "silu", "softplus")},
}


def epilogue_chains() -> list[tuple[str, ...]]:
    """Return every chain of steps that is looked for, the longest first."""
    tails: list[tuple[str, ...]] = [(), ("residual",)]
    for activation in ACTIVATIONS:
        tails += [(activation,), ("residual", activation), (activation, "residual")]
    chains = [(*head, *tail) for head, tail in product(((), ("bias",)), tails)]
    return sorted(chains, key=len, reverse=True)


# paper: bolt epilogue fusion
def fusion_patterns(*, epilogues: bool) -> list[Any]:
    """Return the patterns for `FuseOpsByPattern`, in order of priority.

    A pattern's name is `bolt.<kind>:<steps>`, from which `partition` reads the epilogue.

    Args:
        epilogues: whether to look for epilogues; without, a product stands alone.
    """
    found = []
    for chain in epilogue_chains() if epilogues else [()]:
        for kind, swapped in product(("conv2d", "gemm"), (False, True)):
            if swapped and "residual" not in chain:
                continue
            found.append(_pattern(kind, chain, swapped))
    return found


def _pattern(kind: str, chain: tuple[str, ...], swapped: bool) -> Any:
    from tvm.relax.dpl import is_const, is_op, wildcard
    from tvm.relax.transform import FusionPattern

    parts: dict[str, Any] = {"input": wildcard()}
    parts["weight"] = is_const() if kind == "conv2d" else wildcard()
    parts["product"] = is_op(_CONV2D if kind == "conv2d" else _GEMM)(
        parts["input"], parts["weight"]
    )
    out = parts["product"]
    for step in chain:
        out = _step(step, out, parts, swapped)
    name = f"{PREFIX}.{kind}:{'+'.join(chain)}"
    return FusionPattern(name, out, parts, lambda context: _fits(kind, context))


def _step(step: str, x: Any, parts: dict[str, Any], swapped: bool) -> Any:
    from tvm.relax.dpl import is_const, is_op, wildcard

    if step == "bias":
        parts["bias"] = is_const()
        return is_op("relax.add")(x, parts["bias"])
    if step == "residual":
        parts["residual"] = wildcard()
        pair = (parts["residual"], x) if swapped else (x, parts["residual"])
        return is_op("relax.add")(*pair)
    if step == "hardswish":  # as the importer writes it: x (clip(x + 3, 0, 6) / 6)
        parts["three"], parts["six"] = is_const(), is_const()
        parts["clip"] = is_op("relax.clip")(
            is_op("relax.add")(x, parts["three"]), wildcard(), wildcard()
        )
        return is_op("relax.multiply")(x, is_op("relax.divide")(parts["clip"], parts["six"]))
    parts[step] = is_op(_CALLS[step])(x)
    return parts[step]


def _fits(kind: str, context: Any) -> bool:
    """Whether what was matched is what our kernels compute, and nobody else needs its insides."""
    from tvm.relax.backend.utils import has_leaking_intermediate_variables

    parts = dict(context.annotated_expr)
    made = parts["product"]
    try:
        tensors = [parts[n] for n in ("input", "weight", "bias", "residual") if n in parts]
        if any(str(tensor.ty.dtype) != "float32" for tensor in (*tensors, made)):
            return False
        shape = shape_of(made)
        if kind == "conv2d" and not _plain_conv2d(made.attrs):
            return False
        if kind == "gemm" and not _plain_gemm(parts):
            return False
        if "bias" in parts and shape_of(parts["bias"]) != (shape[-1],):
            return False
        if "residual" in parts and shape_of(parts["residual"]) != shape:
            return False
    except (GraphError, AttributeError):
        return False
    if _adds_itself(parts, context):
        return False
    return _plain_activation(parts) and not has_leaking_intermediate_variables(context)


def _adds_itself(parts: dict[str, Any], context: Any) -> bool:
    """Whether the residual is a value of the chain itself, as in `relu(y) + y`: no operand is."""
    if "residual" not in parts:
        return False
    bound = dict(context.value_to_bound_var).get(parts["residual"])
    return bound is not None and bound in dict(context.matched_bindings)


def _plain_conv2d(attrs: Any) -> bool:
    top, left, bottom, right = attrs.padding
    layouts = (attrs.data_layout, attrs.kernel_layout)
    return layouts == ("NHWC", "OHWI") and attrs.groups == 1 and (top, left) == (bottom, right)


def _plain_gemm(parts: dict[str, Any]) -> bool:
    a, b = shape_of(parts["input"]), shape_of(parts["weight"])
    if len(b) == 2:
        return len(a) >= 2 and is_constant(parts["weight"])
    return len(a) == len(b) == 3 and a[0] == b[0] and not is_constant(parts["weight"])


def _plain_activation(parts: dict[str, Any]) -> bool:
    if "softplus" in parts:
        attrs = parts["softplus"].attrs
        return attrs.beta == 1.0 and attrs.threshold >= 20.0
    if "clip" in parts:
        bounds = [float(arg.value) for arg in parts["clip"].args[1:]]
        scalars = [value_of(parts[name]) for name in ("three", "six")]
        if any(scalar.size != 1 for scalar in scalars):
            return False
        return bounds == [0.0, 6.0] and np.array_equal([s.item() for s in scalars], [3.0, 6.0])
    return True


def is_composite(function: Any) -> bool:
    """Whether a function was made from one of these patterns."""
    attrs = function.attrs
    return bool(attrs) and str(dict(attrs).get("Composite", "")).startswith(f"{PREFIX}.")


def epilogue_steps(function: Any) -> tuple[str, ...]:
    """Return the steps that a composite function's name tells."""
    chain = str(function.attrs["Composite"]).partition(":")[2]
    return tuple(chain.split("+")) if chain else ()


def product_call(function: Any) -> Any:
    """Return the convolution or product inside a composite function."""
    for block in function.body.blocks:
        for binding in block.bindings:
            if call_name(binding.value) in (_CONV2D, _GEMM):
                return binding.value
    raise GraphError("composite function: has no product inside")
