"""Kernels that are compiled wherever nvcc is: every family, epilogue, residence and target."""

from __future__ import annotations

from typing import Any

from tuning.operators.epilogue import ACTIVATIONS
from tuning.templates.cutlass.params import Kernel

AMPERE: dict[str, Any] = {
    "arch": "sm_80",
    "family": "gemm",
    "element": "float16",
    "accumulate": "float32",
    "output": "float16",
    "layout": "tn",
    **dict.fromkeys(("align_a", "align_b", "align_c"), 8),
    "tile": (128, 128, 32),
    "warp": (64, 64, 32),
    "instruction": (16, 8, 16),
    "stages": 3,
}
TURING = AMPERE | {"arch": "sm_75", "instruction": (16, 8, 8), "stages": 2}
HOPPER = AMPERE | {
    "arch": "sm_90a",
    "tile": (128, 128, 64),
    "warp": (64, 128, 64),
    "instruction": (64, 8, 16),
    "stages": 0,
    "schedule": "cooperative",
}
INT8 = {
    "element": "int8",
    "accumulate": "int32",
    "output": "int8",
    **dict.fromkeys(("align_a", "align_b", "align_c"), 16),
    "tile": (128, 128, 64),
    "warp": (64, 64, 64),
}
REGISTER = {
    "tile": (64, 64, 32),
    "warp": (16, 64, 32),
    "tile1": (64, 128, 32),
    "warp1": (16, 128, 32),
    "residence": "register",
    "epilogue": "bias+relu",
    "epilogue0": "bias+relu",
}
SHARED = REGISTER | {
    "warp": (32, 32, 32),
    "tile1": (64, 256, 32),
    "warp1": (64, 64, 32),
    "residence": "shared",
}
CHAINS = (
    *("none", "bias", "residual", "residual+relu", "gelu"),
    *(f"bias+{step}" for step in ACTIVATIONS),
    *("bias+residual+relu", "bias+relu+residual", "softplus+bias", "relu+gelu"),
)


def kernel(base: dict[str, Any], **changes: Any) -> Kernel:
    """Return a kernel of the sample, changed."""
    return Kernel(**{**base, **changes})


def pairs(base: dict[str, Any], **changes: Any) -> list[Kernel]:
    """Return back-to-back GEMMs and convolutions of both residences."""
    return [
        kernel(base, **shapes | changes, family=family)
        for family in ("b2b_gemm", "b2b_conv")
        for shapes in (REGISTER, SHARED)
    ]


def sample() -> list[Kernel]:
    """Return the sample."""
    small = {"tile": (64, 64, 32), "warp": (32, 32, 32)}
    found = [kernel(AMPERE, **small, epilogue=chain) for chain in CHAINS]
    found += [
        kernel(AMPERE, **small, family="conv2d", epilogue=chain)
        for chain in ("none", "bias+gelu", "residual+relu", "bias+residual+relu", "bias+softplus")
    ]
    found += [
        kernel(AMPERE, accumulate="float16", swizzle=8, split_k=4),
        kernel(AMPERE, layout="tt", output="float32", align_c=4, epilogue="bias"),
        kernel(AMPERE, family="batched", layout="tt", epilogue="residual+silu"),
        kernel(AMPERE, element="bfloat16", output="bfloat16", align_a=2, epilogue="bias+hardswish"),
        kernel(AMPERE, **INT8, instruction=(16, 8, 32), epilogue="bias+relu"),
        kernel(AMPERE, **INT8, instruction=(16, 8, 32), epilogue="relu"),
        kernel(AMPERE, **INT8, instruction=(16, 8, 32), family="conv2d", epilogue="bias+relu"),
        kernel(AMPERE, **INT8 | {"output": "float32", "align_c": 4}, instruction=(16, 8, 32)),
        kernel(AMPERE, family="conv2d", element="bfloat16", output="bfloat16", align_a=2),
        *pairs(AMPERE),
        *pairs(AMPERE, epilogue0="softplus", epilogue="residual+silu")[:2],
        kernel(TURING, **small),
        kernel(TURING, **small, align_a=1, align_b=1, align_c=1, epilogue="bias+relu"),
        kernel(
            TURING, tile=(64, 128, 64), warp=(64, 64, 32), family="conv2d", epilogue="bias+relu"
        ),
        kernel(TURING, **INT8, instruction=(8, 8, 16), stages=2, epilogue="bias+relu"),
        *pairs(TURING),
        kernel(AMPERE, arch="sm_86", epilogue="bias+relu"),
        kernel(AMPERE, arch="sm_86", family="conv2d", epilogue="bias+relu"),
        kernel(AMPERE, arch="sm_90", epilogue="bias+gelu"),
        kernel(AMPERE, arch="sm_90", family="conv2d", epilogue="bias+relu"),
        *pairs(AMPERE, arch="sm_90")[1:3],
        kernel(HOPPER, epilogue="bias+residual+softplus"),
        kernel(HOPPER, tile=(64, 128, 64), schedule="pingpong", epilogue="bias+relu"),
    ]
    return found
