"""YAML text to plain JSON values, with limits and with the line of every field.

The loader is YAML 1.2 (`1e-3` is a number, `on` a string) and refuses duplicate keys, tags that
build objects, aliases that multiply, and anything that is not a JSON value.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

from experiments.problems import InvalidManifest, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 100_000

TAG = "tag:yaml.org,2002:"
TAGS = {TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}

Field = tuple[str | int, ...]


def load_yaml(path: Path) -> tuple[dict[str, Any], str]:
    """Read the mapping in the YAML file `path`; return it with the text that it came from.

    Raises:
        InvalidManifest: unreadable, too large, not YAML, or not a mapping of JSON values.
    """
    text = _read(path)
    try:
        value = _construct(text)
    except _Fault as fault:
        line = line_of(text, fault.field) if fault.field else fault.line
        name = ".".join(map(str, fault.field))
        raise InvalidManifest([Problem(str(path), line, name, str(fault))]) from None
    if not isinstance(value, dict):
        raise InvalidManifest([Problem(str(path), 1, "", "a manifest is a mapping of fields")])
    return value, text


def parse_scalar(text: str) -> Any:
    """Return the JSON value that `text` spells in YAML (`0.5`, `true`, `abc`, `[1, 2]`).

    Raises:
        ValueError: it is no JSON value.
    """
    try:
        return _construct(text)
    except _Fault as fault:
        raise ValueError(str(fault)) from None


def line_of(text: str, field: Field) -> int | None:
    """Return the 1-based line on which `field`, or its nearest existing parent, is written."""
    node = _composed(text)
    line = 1 if node is not None else None
    for part in field:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


@functools.lru_cache(maxsize=2)
def _composed(text: str) -> Any:
    """Return the root node of `text`, None if there is none or it is no YAML."""
    from ruamel.yaml.error import YAMLError

    try:
        return _constructor(text).composer.get_single_node()
    except (YAMLError, ValueError, RecursionError):
        return None


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InvalidManifest([Problem(str(path), None, "", f"larger than {MAX_BYTES} bytes")])
        return data.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidManifest([Problem(str(path), None, "", f"cannot be read: {reason}")]) from None
    except UnicodeDecodeError as error:
        problem = Problem(str(path), None, "", f"is not UTF-8 text (byte {error.start})")
        raise InvalidManifest([problem]) from None


class _Fault(Exception):
    def __init__(self, message: str, line: int | None = None, field: Field = ()) -> None:
        super().__init__(message)
        self.line, self.field = line, field


def _constructor(text: str) -> Any:
    """Return what composes the nodes of `text`, and makes values of them."""
    from ruamel.yaml import YAML

    loader = YAML(typ="safe", pure=True)
    loader.max_depth = MAX_DEPTH + 1
    constructor, _ = loader.get_constructor_parser(text)
    constructor.composer.warn_double_anchors = False  # YAML: the later one holds from there on
    return constructor


def _construct(text: str) -> Any:
    from ruamel.yaml.composer import MaxDepthExceededError
    from ruamel.yaml.error import MarkedYAMLError

    try:
        constructor = _constructor(text)
        node = constructor.composer.get_single_node()
        _measure(node, {}, set())
        value = None if node is None else constructor.construct_document(node)
    except MaxDepthExceededError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _Fault(f"is nested deeper than {MAX_DEPTH} levels", line) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join((error.problem or error.context or "is not YAML").split())
        raise _Fault(f"is not valid YAML: {reason}", mark.line + 1 if mark else None) from None
    except RecursionError:
        raise _Fault(f"is nested deeper than {MAX_DEPTH} levels") from None
    except _Fault:
        raise
    except Exception as error:  # the YAML library lets errors of int(), date() and unicode through
        raise _Fault(f"is not valid YAML: {' '.join(str(error).split())[:200]}") from None
    _check_json(value, ())
    return value


def _measure(node: Any, known: dict[int, tuple[int, int]], open_nodes: set[int]) -> tuple[int, int]:
    """Return how many values `node` expands to, and how many levels are below it.

    Aliases count as what they stand for. Refuses what is too deep, too many or cyclic.
    """
    if node is None:
        return 0, 0
    line = node.start_mark.line + 1
    if id(node) in open_nodes:
        raise _Fault("an alias contains itself", line)
    if id(node) not in known:
        _check_node(node, line)
        open_nodes.add(id(node))
        below = [_measure(child, known, open_nodes) for child in _children(node)]
        open_nodes.discard(id(node))
        levels = 1 + max((levels for _, levels in below), default=-1)
        known[id(node)] = 1 + sum(size for size, _ in below), levels
    size, levels = known[id(node)]
    if levels > MAX_DEPTH:
        raise _Fault(f"is nested deeper than {MAX_DEPTH} levels", line)
    if size > MAX_NODES:
        raise _Fault(f"holds more than {MAX_NODES} values", line)
    return size, levels


def _check_node(node: Any, line: int) -> None:
    """Refuse what is no JSON value by its tag, also by the one that its text implies."""
    tag = str(node.tag)
    if tag not in TAGS:
        shown = tag.removeprefix(TAG)[:40]
        raise _Fault(f"a value of type {shown!r} is not allowed here; put it in quotes", line)
    if tag == f"{TAG}int" and len(node.value) > 80:
        raise _Fault("the number does not fit 64 bits", line)
    for item in node.value:
        if isinstance(item, tuple) and item[0].tag not in (f"{TAG}str", f"{TAG}merge"):
            key = str(item[0].value)[:40]
            raise _Fault(f"key {key!r} is not text; put it in quotes", item[0].start_mark.line + 1)


def _children(node: Any) -> list[Any]:
    if isinstance(node.value, str):
        return []
    return [c for item in node.value for c in (item if isinstance(item, tuple) else (item,))]


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    value = getattr(node, "value", None)
    if not isinstance(value, list):
        return None
    if isinstance(part, int):
        if part >= len(value) or isinstance(value[part], tuple):
            return None
        return value[part].start_mark.line + 1, value[part]
    for item in value:
        if isinstance(item, tuple) and item[0].value == part:
            return item[0].start_mark.line + 1, item[1]
    return None


def _check_json(value: Any, field: Field) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_json(key, (*field, key))
            _check_json(item, (*field, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json(item, (*field, index))
    elif isinstance(value, float) and not math.isfinite(value):
        raise _Fault(f"{value} is not a finite number", None, field)
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        raise _Fault("the number does not fit 64 bits", None, field)
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        raise _Fault("holds half a character (an unpaired surrogate)", None, field)
