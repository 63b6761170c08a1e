"""What is done to an accumulator before it is stored (Bolt section 3.1, "epilogue fusion")."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATIONS = ("relu", "gelu", "hardswish", "softplus", "silu")
"""GELU is the exact one (erf); Hardswish is x clamp(x + 3, 0, 6) / 6; Softplus has beta 1."""

STEPS = ("bias", "residual", *ACTIVATIONS)
OUT_DTYPES = ("float32", "float16", "bfloat16")
_LONGEST_CHAIN = 8


# paper: bolt epilogue fusion
@dataclass(frozen=True)
class Epilogue:
    """A chain of element-wise steps, in order, then a conversion.

    Attributes:
        steps: each of `STEPS`; `bias` adds a vector over output channels, `residual` a tensor of
            the output's shape; either occurs at most once.
        out_dtype: type of the stored output; arithmetic is in float32. Conversion rounds to
            nearest, ties to even.

    Raises:
        ValueError: a step or type has another name, or a chain is too long.
    """

    steps: tuple[str, ...] = ()
    out_dtype: str = "float32"

    def __post_init__(self) -> None:
        for step in self.steps:
            if step not in STEPS:
                raise ValueError(f"epilogue step {step!r} is none of {', '.join(STEPS)}")
        for once in ("bias", "residual"):
            if self.steps.count(once) > 1:
                raise ValueError(f"epilogue has {once!r} twice")
        if len(self.steps) > _LONGEST_CHAIN:
            raise ValueError(f"epilogue has more than {_LONGEST_CHAIN} steps")
        if self.out_dtype not in OUT_DTYPES:
            raise ValueError(f"out_dtype {self.out_dtype!r} is none of {', '.join(OUT_DTYPES)}")

    @property
    def has_bias(self) -> bool:
        """Whether a vector over output channels is added."""
        return "bias" in self.steps

    @property
    def has_residual(self) -> bool:
        """Whether a tensor of the output's shape is added."""
        return "residual" in self.steps

    def text(self) -> str:
        """Return such as `bias+relu` or `bias+gelu>bfloat16`; `none` for nothing."""
        tail = "" if self.out_dtype == "float32" else f">{self.out_dtype}"
        return ("+".join(self.steps) or "none") + tail

    @classmethod
    def parse(cls, text: str) -> Epilogue:
        """Return the epilogue that `text()` wrote."""
        chain, _, dtype = text.partition(">")
        steps = () if chain in ("", "none") else tuple(chain.split("+"))
        return cls(steps, dtype or "float32")


NO_EPILOGUE = Epilogue()
