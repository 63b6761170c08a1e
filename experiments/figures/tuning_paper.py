"""What Bolt's co-design tables say, from memory: not checked against the paper's text."""

from __future__ import annotations

MARK = "remembered"

Variant = tuple[str, str, bool]
"""Network, activation, whether deepened by 1x1 convolutions."""

TABLE4: dict[Variant, tuple[float, float]] = {
    ("repvgg_a0", "relu", False): (72.31, 5909),
    ("repvgg_a0", "gelu", False): (72.38, 5645),
    ("repvgg_a0", "hardswish", False): (72.98, 5713),
    ("repvgg_a0", "softplus", False): (72.57, 5453),
}
"""Top-1 accuracy in per cent, images/s on a T4; 120 epochs of training."""

TABLE5: dict[Variant, tuple[float, float]] = {
    ("repvgg_a0", "relu", False): (73.05, 7861),
    ("repvgg_a1", "relu", False): (74.75, 6253),
    ("repvgg_b0", "relu", False): (75.28, 4888),
    ("repvgg_a0", "relu", True): (73.87, 6716),
    ("repvgg_a1", "relu", True): (75.52, 5241),
    ("repvgg_b0", "relu", True): (76.02, 4145),
}
"""The same; 200 epochs."""

TABLE6: dict[Variant, tuple[float, float]] = {
    ("repvgg_a0", "relu", False): (73.41, 7861),
    ("repvgg_a1", "relu", False): (74.89, 6253),
    ("repvgg_b0", "relu", False): (75.89, 4888),
    ("repvgg_a0", "hardswish", True): (74.54, 6338),
    ("repvgg_a1", "hardswish", True): (76.72, 4868),
    ("repvgg_b0", "hardswish", True): (77.22, 3842),
}
"""The same; 300 epochs and more augmentation. The least sure of the three."""
