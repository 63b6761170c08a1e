"""A built executable as one shared object; our sources compiled by content, with our flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.setup.programs import ProgramError, run_program
from tuning.compile import ObjectCache
from tuning.decide.copying import copy_text
from tuning.decide.race import FLAGS as RACE_FLAGS
from tuning.graph.codegen import COPY
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
    executable.export_library(str(path), fcompile=Linker(isa, objects))


class Linker:
    """What `export_library` calls with the files that it wrote."""

    object_format = "o"

    def __init__(self, isa: str, objects: ObjectCache) -> None:
        self.isa = isa
        self.objects = objects

    def __call__(self, output: str, files: Sequence[str], **ignored: Any) -> None:
        """Compile the sources among `files` and link all; TVM's own options are not needed."""
        _join(Path(output), [Path(file) for file in files], self.isa, self.objects)


def _join(output: Path, files: Sequence[Path], isa: str, objects: ObjectCache) -> None:
    ready = [file for file in files if file.suffix == ".o"]
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix != ".o"]
    flags = (*_compile_only(FLAGS), *ISA_FLAGS[isa], *tvm_flags())
    sources = [Source(text, _COMPILER, flags) for text in texts]
    if any(COPY in text for text in texts):  # with the flags that it was raced with
        sources.append(Source(copy_text(), _COMPILER, _compile_only(RACE_FLAGS)))
    for result in objects.compile(sources):
        if result.path is None:
            raise GraphError(f"generated source does not compile: {result.message[:500]}")
        ready.append(result.path)
    command = [_COMPILER, "-shared", "-fopenmp", "-o", str(output), *map(str, ready)]
    try:
        run_program(command, timeout_s=_LINK_TIMEOUT_S)
    except ProgramError as error:
        raise GraphError(f"the model does not link: {error}") from error


def _compile_only(flags: Sequence[str]) -> tuple[str, ...]:
    """Return flags without linking; the cache names objects .so, the linker looks inside."""
    return tuple("-c" if flag == "-shared" else flag for flag in flags)


def tvm_flags() -> tuple[str, ...]:
    """Return where TVM's headers are, and their version: the cache must not outlive them."""
    import tvm_ffi
    from tvm_ffi.libinfo import include_paths

    version = f"-DTRIPTYCH_TVM_FFI={tvm_ffi.__version__}"
    return (version, *(f"-I{folder}" for folder in include_paths()))
