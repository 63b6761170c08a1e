"""How a network may differ from its paper (Bolt section 3.3, "system-model co-design")."""

from __future__ import annotations

from dataclasses import dataclass

from tuning.operators import ACTIVATIONS

STAGES = 5


# paper: bolt 3.3
@dataclass(frozen=True)
class Variant:
    """What is changed in a network.

    Attributes:
        activation: after every convolution and hidden dense layer; one of `ACTIVATIONS`.
        deepen: RepVGG only: a C to C 1x1 convolution, with activation, after each 3x3 but the
            last, as Bolt's Table 5 adds them for back-to-back kernels.
        widths: RepVGG only: channels of the five stages instead of the paper's; None keeps them.
        image: height and width of the input. The dense layers of VGG depend on it.
        classes: number of logits.

    Raises:
        ValueError: a field is out of range.
    """

    activation: str = "relu"
    deepen: bool = False
    widths: tuple[int, ...] | None = None
    image: int = 224
    classes: int = 1000

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: {self.activation!r} is none of {', '.join(ACTIVATIONS)}")
        if self.image < 32:
            raise ValueError(f"image: {self.image} is below 32, which five halvings need")
        if self.classes < 1:
            raise ValueError(f"classes: {self.classes} is not positive")
        if self.widths is not None and (len(self.widths) != STAGES or min(self.widths) < 1):
            raise ValueError(f"widths: {self.widths} are not {STAGES} positive numbers")


PLAIN = Variant()
"""The network of the paper, with ReLU."""


# paper: bolt 3.3
def aligned(widths: tuple[int, ...], multiple: int) -> tuple[int, ...]:
    """Return `widths` rounded up to a multiple: the third principle, aligned tensor shapes."""
    return tuple(-(-width // multiple) * multiple for width in widths)
