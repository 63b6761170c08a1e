"""Values that BlendServe (ASPLOS '26) prints in its figures and tables."""

from __future__ import annotations

MARK = "printed"

DENSITY = {
    "burstgpt": 17.78,
    "azure": 33.2,
    "sharegpt": 3.12,
    "wildchat": 2.13,
    "mmlu": 54.91,
    "openvid-raw": 0.05,
}
"""Fig. 2 and Table 4: density of each trace. MMLU's has the factor (1 - s)."""

SHARING = {
    "burstgpt": 0.02,
    "azure": 0.01,
    "sharegpt": 0.02,
    "wildchat": 0.19,
    "mmlu": 0.86,
    "openvid-raw": 0.00,
}
"""Table 4: share of prefixes."""

_SHARINGS = (0.05, 0.15, 0.25, 0.35, 0.45)
_ROWS = {
    0.80: (1.15, 1.15, 1.16, 1.16, 1.16),
    0.85: (1.14, 1.15, 1.15, 1.15, 1.15),
    0.90: (1.19, 1.19, 1.20, 1.21, 1.20),
    0.95: (1.16, 1.16, 1.17, 1.17, 1.17),
    1.00: (1.21, 1.22, 1.23, 1.24, 1.23),
    1.05: (1.25, 1.25, 1.26, 1.26, 1.25),
    1.10: (1.23, 1.23, 1.23, 1.24, 1.24),
    1.15: (1.25, 1.25, 1.26, 1.26, 1.26),
    1.20: (1.24, 1.25, 1.25, 1.25, 1.26),
    1.25: (1.23, 1.24, 1.24, 1.24, 1.24),
    1.30: (1.34, 1.34, 1.34, 1.34, 1.33),
    1.35: (1.23, 1.23, 1.23, 1.24, 1.24),
    1.40: (1.23, 1.23, 1.24, 1.24, 1.24),
}
GRID = {
    (density, sharing): gain
    for density, gains in _ROWS.items()
    for sharing, gain in zip(_SHARINGS, gains, strict=True)
}
"""Fig. 11: (density, sharing) -> throughput over NanoFlow-DFS, Llama-3-8B, BurstGPT mixes."""
