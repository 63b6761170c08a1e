"""The operators that are tuned: plain data, no engine; what searches and templates decide on."""

from tuning.operators.base import Operand, Operator, operator_from_dict
from tuning.operators.conv2d import Conv2d
from tuning.operators.epilogue import ACTIVATIONS, Epilogue
from tuning.operators.gemm import Gemm
from tuning.operators.pair import Pair

__all__ = [
    "ACTIVATIONS",
    "Conv2d",
    "Epilogue",
    "Gemm",
    "Operand",
    "Operator",
    "Pair",
    "operator_from_dict",
]
