"""The few functions of libbpf that load, register and read a program, by ctypes.

libbpf 1.1 (Debian 12) and later. A registration lives by a *link*: a file descriptor of the process
that made it. When the process ends, in whatever way, the kernel takes the registration back, so
nothing can leak. libbpf 1.1 knows no such links for congestion control, the kernel (6.4) does: the
map gets the flag BPF_F_LINK before it is loaded, and the link is asked for by number.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emu.datapath.problems import DatapathError, RefusedError

BPF_F_LINK = 1 << 13
BPF_STRUCT_OPS = 44
"""`enum bpf_attach_type` of Linux: what a link to a struct_ops map is."""
_LOG_BYTES = 1 << 20

Record = Callable[[bytes], None]
_SAMPLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_pointer = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "bpf_object__open_file": (_pointer, [ctypes.c_char_p, _pointer]),
    "bpf_object__load": (ctypes.c_int, [_pointer]),
    "bpf_object__close": (None, [_pointer]),
    "bpf_object__next_program": (_pointer, [_pointer, _pointer]),
    "bpf_object__find_map_by_name": (_pointer, [_pointer, ctypes.c_char_p]),
    "bpf_program__set_log_buf": (ctypes.c_int, [_pointer, ctypes.c_char_p, ctypes.c_size_t]),
    "bpf_program__fd": (ctypes.c_int, [_pointer]),
    "bpf_program__name": (ctypes.c_char_p, [_pointer]),
    "bpf_enable_stats": (ctypes.c_int, [ctypes.c_int]),
    "bpf_map__set_map_flags": (ctypes.c_int, [_pointer, ctypes.c_uint32]),
    "bpf_map__fd": (ctypes.c_int, [_pointer]),
    "bpf_map__attach_struct_ops": (_pointer, [_pointer]),
    "bpf_link__destroy": (ctypes.c_int, [_pointer]),
    "bpf_link_create": (ctypes.c_int, [ctypes.c_int, ctypes.c_int, ctypes.c_int, _pointer]),
    "bpf_map_update_elem": (ctypes.c_int, [ctypes.c_int, _pointer, _pointer, ctypes.c_uint64]),
    "bpf_map_lookup_elem": (ctypes.c_int, [ctypes.c_int, _pointer, _pointer]),
    "bpf_prog_get_fd_by_id": (ctypes.c_int, [ctypes.c_uint32]),
    "bpf_map_get_fd_by_id": (ctypes.c_int, [ctypes.c_uint32]),
    "bpf_link_get_fd_by_id": (ctypes.c_int, [ctypes.c_uint32]),
    "ring_buffer__new": (_pointer, [ctypes.c_int, _SAMPLE, _pointer, _pointer]),
    "ring_buffer__consume": (ctypes.c_int, [_pointer]),
    "ring_buffer__poll": (ctypes.c_int, [_pointer, ctypes.c_int]),
    "ring_buffer__free": (None, [_pointer]),
    "libbpf_set_print": (_pointer, [_PRINT]),
    "libbpf_minor_version": (ctypes.c_uint32, []),
}


@_PRINT
def _silent(level: int, text: bytes, arguments: int) -> int:
    return 0


def library() -> Any:
    """Return libbpf with its signatures set.

    Raises:
        DatapathError: it is not on this machine.
    """
    try:
        found = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        raise DatapathError("libbpf.so.1 not found: apt-get install libbpf-dev") from None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    found.libbpf_set_print(_silent)
    return found


class Loaded:
    """A program in the kernel and its registration; both go when it is closed or the process ends.

    Args:
        path: the compiled object.
        operations: name of its struct_ops map.

    Raises:
        RefusedError: the verifier refused the program; the message holds its reason.
        DatapathError: the object is not readable, or the name is taken.
    """

    def __init__(self, path: Path, operations: str) -> None:
        self._lib = library()
        self._link = -1
        self._attached: int | None = None
        self._object: int | None = self._lib.bpf_object__open_file(str(path).encode(), None)
        if not self._object:
            raise DatapathError(f"libbpf cannot read {path}: {_reason()}; build it anew")
        try:
            table = self._map(operations)
            self._lib.bpf_map__set_map_flags(table, BPF_F_LINK)
            self._load()
            self._register(table)
        except DatapathError:
            self.close()
            raise

    def map_fd(self, name: str) -> int:
        """Return the file descriptor of a map; it belongs to this object.

        Raises:
            DatapathError: the object has no such map.
        """
        return self._lib.bpf_map__fd(self._map(name))

    def programs(self) -> dict[str, int]:
        """Return the file descriptor of each program, by name; they belong to this object."""
        found = {}
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            name = self._lib.bpf_program__name(program).decode()
            found[name] = self._lib.bpf_program__fd(program)
            program = self._lib.bpf_object__next_program(self._object, program)
        return found

    def update(self, name: str, key: bytes, value: bytes) -> None:
        """Set an entry of a map; a key that the map has no room for is left out.

        Raises:
            DatapathError: the kernel did not take it.
        """
        if self._lib.bpf_map_update_elem(self.map_fd(name), key, value, 0) != 0:
            raise DatapathError(f"map {name!r} takes no entry: {_reason()}")

    def lookup(self, name: str, key: bytes, value_bytes: int) -> bytes | None:
        """Return the value of an entry of a map; None if there is none."""
        value = ctypes.create_string_buffer(value_bytes)
        found = self._lib.bpf_map_lookup_elem(self.map_fd(name), key, value) == 0
        return value.raw if found else None

    def close(self) -> None:
        """Take the registration back and free the program; connections that use it keep it."""
        if self._link >= 0:
            os.close(self._link)
            self._link = -1
        if self._attached:
            self._lib.bpf_link__destroy(self._attached)
            self._attached = None
        if self._object:
            self._lib.bpf_object__close(self._object)
            self._object = None

    def _map(self, name: str) -> int:
        found = self._lib.bpf_object__find_map_by_name(self._object, name.encode())
        if not found:
            raise DatapathError(f"the object has no map {name!r}; build it anew")
        return found

    def _load(self) -> None:
        logs = []
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            logs.append(ctypes.create_string_buffer(_LOG_BYTES))
            self._lib.bpf_program__set_log_buf(program, logs[-1], _LOG_BYTES)
            program = self._lib.bpf_object__next_program(self._object, program)
        if self._lib.bpf_object__load(self._object) == 0:
            return
        reason = _reason()
        said = [log.value.decode(errors="replace").strip() for log in logs]
        told = next((text for text in said if text and "\n" in text), "")
        if not told:
            raise DatapathError(f"the kernel did not load the program: {reason}")
        raise RefusedError(f"the verifier refused the program: {verdict(told)}", told)

    def _register(self, table: int) -> None:
        self._attached = self._lib.bpf_map__attach_struct_ops(table)
        if not self._attached:
            raise DatapathError(f"the kernel did not take the operations: {_reason()}")
        if self._lib.libbpf_minor_version() >= 2:
            return  # attaching has made a true link
        self._link = self._lib.bpf_link_create(
            self._lib.bpf_map__fd(table), 0, BPF_STRUCT_OPS, None
        )
        if self._link < 0:
            raise DatapathError(f"the kernel did not register the congestion control: {_reason()}")


class Ring:
    """The records of a loaded program's ring buffer, handed to a function as they come.

    Args:
        loaded: the program.
        name: the ring's map.
        take: called with the bytes of each record, in order, by `poll`.

    Raises:
        DatapathError: the ring cannot be read.
    """

    def __init__(self, loaded: Loaded, name: str, take: Record) -> None:
        self._lib = library()
        self._failure: BaseException | None = None

        def sample(context: int, data: int, size: int) -> int:
            try:
                take(ctypes.string_at(data, size))
            except BaseException as error:  # C cannot hand it on; `poll` raises it
                self._failure = error
                return -1
            return 0

        self._sample = _SAMPLE(sample)  # C holds only its address
        self._ring = self._lib.ring_buffer__new(loaded.map_fd(name), self._sample, None, None)
        if not self._ring:
            raise DatapathError(f"ring {name!r} cannot be read: {_reason()}")

    def poll(self, timeout_ms: int) -> int:
        """Take what is there; if that is nothing, wait so long for a record; return how many.

        Raises:
            DatapathError: reading failed. Whatever `take` raises.
        """
        count = self._lib.ring_buffer__consume(self._ring)  # a record need not wake anybody
        if count == 0 and self._failure is None:
            count = self._lib.ring_buffer__poll(self._ring, timeout_ms)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if count < 0 and -count != errno.EINTR:
            raise DatapathError(f"the ring cannot be read: {os.strerror(-count)}")
        return max(0, count)

    def close(self) -> None:
        """Stop reading."""
        if self._ring:
            self._lib.ring_buffer__free(self._ring)
            self._ring = None


def verdict(log: str) -> str:
    """Return the verifier's reason from its log: the last line that is neither code nor count."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    counts = ("processed ", "verification time", "stack depth", "peak_states")
    words = [line for line in lines if not line.startswith(counts)]
    reasons = [line for line in words if not line[0].isdigit() and line[0] not in ";(R"]
    return (reasons or words or ["no reason given"])[-1]


def _reason() -> str:
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return "the name is taken (triptych datapath list, or bpftool struct_ops list)"
    if number in (errno.EPERM, errno.EACCES):
        return "not permitted: it needs root or CAP_BPF and CAP_NET_ADMIN"
    return os.strerror(number) if number else "no reason given"
