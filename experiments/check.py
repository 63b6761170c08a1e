"""Reading and checking manifests: all faults at once, before anything runs."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments import yaml_source
from experiments.axes import MAX_POINTS, Point, apply_point, expand
from experiments.doctor import CAPABILITY_NAMES
from experiments.kinds.base import KINDS, RunKind
from experiments.manifest import SIZES, Manifest, SizeName
from experiments.paths import MANIFESTS
from experiments.problems import InvalidManifest, Problem
from policies.registry import UnknownNameError, nearest

Loc = tuple[str | int, ...]
MAX_SHOWN = 50
RESERVED = frozenset({"run_id", "policy", "seed", "a", "b"})


def load_manifest(path: Path) -> Manifest:
    """Read and check one manifest.

    Raises:
        InvalidManifest: with every fault found; nothing has run.
    """
    values, text = yaml_source.load_yaml(path)
    report = _Report(str(path), text)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            report.add(_written_loc(item["loc"], values), explain(item, Manifest))
        raise InvalidManifest(report.problems) from None
    _check_place(manifest, path, report)
    _check_names(manifest, report)
    if not report.problems:
        for size in SIZES:
            _check_points(manifest, size, report)
    if report.problems:
        raise InvalidManifest(report.problems)
    return manifest


class _Report:
    """Collects problems, each once, with the line looked up in the text."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self.problems: list[Problem] = []

    def add(self, loc: Loc, message: str) -> None:
        field = ".".join(map(str, loc))
        known = any(p.field == field and p.message == message for p in self.problems)
        if known or len(self.problems) > MAX_SHOWN:
            return
        if len(self.problems) < MAX_SHOWN:
            line = yaml_source.line_of(self.text, loc)
            self.problems.append(Problem(self.file, line, field, message))
        else:
            more = f"has more faults; these are the first {MAX_SHOWN}"
            self.problems.append(Problem(self.file, None, "", more))


def explain(error: Any, model: type) -> str:
    """Turn one pydantic error into a sentence: what is wrong, what is allowed, nearest name."""
    kind, context = error["type"], error.get("ctx", {})
    given = error.get("input")
    shown = json.dumps(given, default=str)[:80]
    if kind == "extra_forbidden":
        near = nearest(str(error["loc"][-1]), _known_fields(model, error["loc"]))
        return "no such field" + (f"; did you mean {near!r}?" if near else "")
    if kind == "missing":
        return "this field is required"
    if kind in ("literal_error", "enum"):
        near = nearest(str(given), re.findall(r"'([^']+)'", context["expected"]))
        return f"{shown} is not allowed; allowed: {context['expected']}" + (
            f"; did you mean {near!r}?" if near else ""
        )
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return f"needs a `kind`, one of {context.get('expected_tags', 'those documented')}"
    return f"{error['msg'].removeprefix('Value error, ')}; found {shown}"


def _known_fields(model: Any, loc: Loc) -> list[str]:
    """Return the names of the fields beside the last part of `loc`."""
    schema = _json_schema(model)
    names: set[str] = set()

    def walk(node: Any, rest: Loc) -> None:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        for option in (*node.get("anyOf", ()), *node.get("oneOf", ())):
            walk(option, rest)
        if len(rest) == 1:
            names.update(node.get("properties", ()))
        elif rest[0] in node.get("properties", {}):
            walk(node["properties"][rest[0]], rest[1:])
        elif "items" in node:
            walk(node["items"], rest[1:])
        elif len(rest) > 1 and "$defs" in schema and not isinstance(rest[0], int):
            walk(node, rest[1:]) if "properties" in node or "oneOf" in node else None

    walk(schema, loc)
    return sorted(names)


@functools.cache
def _json_schema(model: Any) -> dict[str, Any]:
    return model.model_json_schema()


def _written_loc(loc: Loc, values: Any) -> Loc:
    """Drop the parts of a pydantic location that name branches of a union, not fields."""
    kept: list[str | int] = []
    for index, part in enumerate(loc):
        is_last = index == len(loc) - 1
        if _has(values, part):
            values = values[part]
            kept.append(part)
        elif is_last and isinstance(values, dict):
            kept.append(part)
    return tuple(kept)


def _has(values: Any, part: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part < len(values)
    return isinstance(values, dict) and part in values


def _check_place(manifest: Manifest, path: Path, report: _Report) -> None:
    if path.resolve().is_relative_to(MANIFESTS):
        expected = "/".join(path.resolve().relative_to(MANIFESTS).with_suffix("").parts)
        if manifest.id != expected:
            report.add(("id",), f"{manifest.id!r} must be {expected!r}, as the file is called")


def _check_names(manifest: Manifest, report: _Report) -> None:
    for index, need in enumerate(manifest.needs):
        if need not in CAPABILITY_NAMES:
            error = UnknownNameError("capability", need, CAPABILITY_NAMES)
            report.add(("needs", index), str(error))
    try:
        kind = KINDS.get(manifest.kind)
    except UnknownNameError as error:
        report.add(("kind",), str(error))
        return
    for loc, metric in _metrics_named(manifest):
        if metric not in kind.metrics:
            report.add(loc, str(UnknownNameError("metric", metric, kind.metrics)))
    for loc, policy in _policies_named(manifest):
        if kind.policies is None:
            report.add(loc, f"runs of kind {kind.name!r} compare no policies")
        elif policy not in kind.policies.names():
            report.add(
                loc, str(UnknownNameError(kind.policies.noun, policy, kind.policies.names()))
            )


def _metrics_named(manifest: Manifest) -> Iterator[tuple[Loc, str]]:
    for index, metric in enumerate(manifest.metrics):
        yield ("metrics", index), metric
    for index, claim in enumerate(manifest.claims):
        yield ("claims", index, "metric"), claim.metric


def _policies_named(manifest: Manifest) -> Iterator[tuple[Loc, str]]:
    for index, policy in enumerate(manifest.policies):
        yield ("policies", index), policy
    for size in SIZES:
        for index, policy in enumerate(manifest.size(size).policies or ()):
            yield ("sizes", size, "policies", index), policy
    for index, claim in enumerate(manifest.claims):
        for name in ("policy", "over"):
            if policy := getattr(claim.statistic, name):
                yield ("claims", index, "statistic", name), policy


def _check_points(manifest: Manifest, size: SizeName, report: _Report) -> None:
    kind = KINDS.get(manifest.kind)
    try:
        points = expand(manifest.axes_of(size), manifest.exclude)
    except ValueError as error:
        in_size = manifest.size(size).axes is not None
        report.add(("sizes", size, "axes") if in_size else ("axes",), str(error))
        return
    if kind.policies is not None and manifest.policies_of(size) == [None]:
        report.add(("policies",), f"at least one {kind.policies.noun} is needed")
    runs = len(points) * len(manifest.policies_of(size)) * len(manifest.seeds_of(size))
    if runs > MAX_POINTS:
        report.add(("sizes", size), f"makes {runs} runs, more than {MAX_POINTS}")
        return
    for point in points:
        try:
            validated_config(kind, manifest, size, point)
        except ValidationError as error:
            config = merged_config(manifest, size, point)
            for item in error.errors(include_url=False):
                loc = _written_loc(item["loc"], config)
                report.add(_origin(manifest, size, point, loc), explain(item, kind.Config))
        except ValueError as error:
            report.add(("axes",), str(error))
        if len(report.problems) > MAX_SHOWN:
            return


def merged_config(manifest: Manifest, size: str, point: Point) -> dict[str, Any]:
    """Return base, then the size's base (field by field), then the point's values."""
    merged = _overlay(manifest.base, manifest.size(size).base)
    return apply_point(merged, point)


def validated_config(
    kind: type[RunKind], manifest: Manifest, size: str, point: Point
) -> dict[str, Any]:
    """Return the configuration of one point with all defaults filled in, as JSON values.

    Raises:
        ValidationError: the kind does not accept it.
        ValueError: an axis leads through something that is not a mapping, or is called as a
            column that the table of runs has anyway.
    """
    if taken := RESERVED.union(kind.metrics) & point.keys():
        raise ValueError(f"an axis cannot be called {min(taken)!r}: the table has that column")
    return kind.Config.model_validate(merged_config(manifest, size, point)).model_dump(mode="json")


def _overlay(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        # A part with another `kind` replaces the whole part: their fields do not mix.
        same = both and value.get("kind", result[key].get("kind")) == result[key].get("kind")
        result[key] = _overlay(result[key], value) if same else value
    return result


def _origin(manifest: Manifest, size: str, point: Point, loc: Loc) -> Loc:
    """Return where in the manifest the value at `loc` of a point's configuration is written."""
    dotted = ".".join(map(str, loc))
    bases = (manifest.size(size).base, manifest.base)
    written = any(loc and loc[0] in base for base in bases)
    for name in point:
        above = name.startswith(f"{dotted}.") and not written
        if dotted == name or dotted.startswith(f"{name}.") or above:
            own = manifest.size(size).axes is not None
            start: Loc = ("sizes", size, "axes") if own else ("axes",)
            return (*start, *_axis_place(manifest, size, name))
    for start, values in ((("sizes", size, "base"), manifest.size(size).base), (("base",), None)):
        if values is None or (loc and loc[0] in values):
            return (*start, *loc)
    return loc


def _axis_place(manifest: Manifest, size: str, name: str) -> Loc:
    for index, block in enumerate(manifest.axes_of(size)):
        if block.sets(name):
            return (index, block.shape, name) if block.shape in ("grid", "zip") else (index,)
    return ()
