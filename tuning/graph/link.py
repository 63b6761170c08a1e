"""A built executable as one shared object; our sources compiled by content, with our flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.setup.programs import ProgramError, run_program
from tuning.compile import ObjectCache
from tuning.graph.walk import GraphError
from tuning.templates.base import Source
from tuning.templates.cpu.render import FLAGS, ISA_FLAGS

_COMPILER = "g++"
_LINK_TIMEOUT_S = 120.0


def export(executable: Any, path: Path, isa: str, objects: ObjectCache) -> None:
    """Write an executable and its imported C sources as one shared object.

    Args:
        executable: what `tvm.compile` returned.
        path: where to.
        isa: instruction set that sources are compiled for, `avx512`, `avx2` or `generic`.
        objects: cache of compiled sources.

    Raises:
        GraphError: a source does not compile, or the parts do not link.
    """
    executable.export_library(str(path), fcompile=_Linker(isa, objects))


class _Linker:
    """What `export_library` calls with the files that it wrote."""

    object_format = "o"

    def __init__(self, isa: str, objects: ObjectCache) -> None:
        self.isa = isa
        self.objects = objects

    def __call__(self, output: str, files: Sequence[str], **ignored: Any) -> None:
        """Compile the sources among `files` and link all; TVM's own options are not needed."""
        _join(Path(output), [Path(file) for file in files], self.isa, self.objects)


def _join(output: Path, files: Sequence[Path], isa: str, objects: ObjectCache) -> None:
    from tvm_ffi.libinfo import include_paths

    ready = [file for file in files if file.suffix == ".o"]
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix != ".o"]
    # The cache names every object .so; the linker looks at what is inside.
    compile_only = tuple("-c" if flag == "-shared" else flag for flag in FLAGS)
    flags = (*compile_only, *ISA_FLAGS[isa], *(f"-I{folder}" for folder in include_paths()))
    made = objects.compile([Source(text, _COMPILER, flags) for text in texts])
    for result in made:
        if result.path is None:
            raise GraphError(f"generated source does not compile: {result.message[:500]}")
        ready.append(result.path)
    command = [_COMPILER, "-shared", "-fopenmp", "-o", str(output), *map(str, ready)]
    try:
        run_program(command, timeout_s=_LINK_TIMEOUT_S)
    except ProgramError as error:
        raise GraphError(f"the model does not link: {error}") from error
