"""TVM's Relax without its annotations, which say less than what its functions take.

Shapes, strides and bounds may be plain tuples, lists and numbers; the annotations name expressions.
"""

from __future__ import annotations

import importlib
from typing import Any


def relax_untyped() -> Any:
    """Return the module `tvm.relax`."""
    return importlib.import_module("tvm.relax")
