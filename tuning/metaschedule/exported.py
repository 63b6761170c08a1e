"""A library that MetaSchedule's result was compiled to, loaded and bound to operands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.metaschedule.workload import parameter_names
from tuning.operators import Operator
from tuning.operators.reference import Arrays
from tuning.rivals.base import Prepared


def version() -> str:
    """Return TVM's version and target."""
    import tvm

    from tuning.metaschedule.target import cpu_name

    return f"tvm {tvm.__version__}, {cpu_name()}"


def load(path: Path, operator: Operator, operands: Arrays) -> Prepared:
    """Return the operator by TVM's virtual machine; constants are laid out here, once.

    Raises:
        OSError: there is no such library.
    """
    import tvm
    from tvm import relax

    if not path.is_file():
        raise OSError(f"{path}: there is no exported library")
    library: Any = tvm.runtime.load_module(str(path))
    cpu: Any = tvm.cpu()
    machine = relax.VirtualMachine(library, cpu)
    inputs, constants = parameter_names(operator)
    given = [tvm.runtime.tensor(operands[name]) for name in inputs]
    laid = machine["main_transform_params"]([tvm.runtime.tensor(operands[n]) for n in constants])
    arguments = (*given, *laid)
    main = machine["main"]
    made = [main(*arguments)]

    def run() -> None:
        made.clear()  # its memory is the next output's
        made.append(main(*arguments))

    def output() -> NDArray[Any]:
        found = made[0].numpy()
        return found.view(np.uint16) if operator.epilogue.out_dtype == "bfloat16" else found

    return Prepared(run, output, "epilogue in the tuned function; constants laid out ahead")
