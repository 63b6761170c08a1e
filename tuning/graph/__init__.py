"""Graph passes on Relax: PyTorch in, tuned kernels called from one executable out.

`import_torch` gives a module, `optimise` a `BuiltModel`. The passes are, in order: NCHW to NHWC
(`layout`), epilogues by pattern (`patterns`, `partition`), back-to-back pairs and padding where
they were measured faster (`select`), C++ source (`codegen`), packed weights (`weights`).
"""

from tuning.graph.build import optimise
from tuning.graph.model import BuiltModel, Seconds
from tuning.graph.options import (
    Choice,
    Decision,
    GraphOptions,
    Layer,
    PadDecider,
    PairDecider,
    Tuner,
)
from tuning.graph.torch_import import import_torch
from tuning.graph.walk import GraphError

__all__ = [
    "BuiltModel",
    "Choice",
    "Decision",
    "GraphError",
    "GraphOptions",
    "Layer",
    "PadDecider",
    "PairDecider",
    "Seconds",
    "Tuner",
    "import_torch",
    "optimise",
]
