"""From a manifest to the runs of one size: pure, in a fixed order, nothing is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments import yaml_source
from experiments.axes import MAX_POINTS, Block, expand
from experiments.check import explain, validated_config
from experiments.fingerprint import fingerprint
from experiments.identity import RunSpec, run_id
from experiments.kinds.base import KINDS
from experiments.manifest import Manifest
from experiments.problems import InputError
from policies.registry import UnknownNameError

Overrides = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Plan:
    """The runs of one experiment at one size.

    Attributes:
        runs: each identity once.
        overridden: whether axes, seeds or policies differ from the manifest's.
        invoked: words of the command line that asked for it, where that was not `reproduce ID`.
    """

    manifest: Manifest
    size: str
    runs: tuple[RunSpec, ...]
    overridden: bool = False
    invoked: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the run ids, in order."""
        return hashlib.sha256("\n".join(run.id for run in self.runs).encode()).hexdigest()


def parse_overrides(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Read `-s axis=value[,value...]` options.

    Raises:
        InputError: an option is not of that form.
    """
    overrides: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise InputError(f"-s {text!r}: write axis=value or axis=value,value")
        try:
            parsed = (
                [yaml_source.parse_scalar(values)]
                if values[0] in "[{"
                else [yaml_source.parse_scalar(part) for part in values.split(",")]
            )
        except ValueError as error:
            raise InputError(f"-s {text!r}: {error}") from None
        values_given = parsed[0] if isinstance(parsed[0], list) else parsed
        if not values_given:
            raise InputError(f"-s {text!r}: at least one value is needed")
        overrides[name.strip()] = values_given
    return overrides


def make_plan(manifest: Manifest, size: str, overrides: Overrides | None = None) -> Plan:
    """Return the runs of `manifest` at `size`: points, then policies, then seeds.

    Raises:
        InputError: an override names what does not exist or has a value that is not allowed.
    """
    overridden, overrides = bool(overrides), dict(overrides or {})
    kind = KINDS.get(manifest.kind)
    seeds = _seeds(manifest, size, overrides.pop("seeds", None))
    policies = _policies(manifest, size, overrides.pop("policies", None), kind.policies)
    runs: dict[str, RunSpec] = {}
    marks: dict[tuple[str | None, ...], str] = {}
    try:
        points = expand(_blocks(manifest, size, overrides), manifest.exclude)
        configs = [validated_config(kind, manifest, size, point) for point in points]
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        field = ".".join(map(str, item["loc"]))
        raise InputError(f"{manifest.id}: {field}: {explain(item, kind.Config)}") from None
    except ValueError as error:
        raise InputError(f"{manifest.id}: {error}") from None
    if (total := len(points) * len(policies) * len(seeds)) > MAX_POINTS:
        raise InputError(f"{manifest.id}: makes {total} runs, more than {MAX_POINTS}")
    for point, plain in zip(points, configs, strict=True):
        try:
            resolved = kind.resolve(plain)
        except ValueError as error:
            raise InputError(f"{manifest.id}: {error}") from None
        others = kind.other_policies(resolved) if hasattr(kind, "other_policies") else ()
        for policy in policies:
            if (whose := (policy, *others)) not in marks:
                marks[whose] = code_fingerprint(manifest.kind, policy, others)
            for seed in seeds:
                config = {**resolved, "policy": policy, "seed": seed}
                identity = run_id(manifest.kind, config)
                spec = RunSpec(
                    identity, manifest.kind, config, point, marks[whose], manifest.limits_of(size)
                )
                runs.setdefault(identity, spec)
    return Plan(manifest, size, tuple(runs.values()), overridden)


def code_fingerprint(kind_name: str, policy: str | None, others: Sequence[str] = ()) -> str:
    """Return the fingerprint of the sources that compute a run of `kind_name` with `policy`.

    `others` are further policies that take part in it.
    """
    registry = KINDS.get(kind_name).policies
    files = [KINDS.paths()[kind_name]]
    if policy is not None and registry is not None:
        paths = registry.paths()
        files += [paths[name] for name in dict.fromkeys((policy, *others))]
    return _fingerprint(tuple(files))


@lru_cache(maxsize=256)
def _fingerprint(files: tuple[Path, ...]) -> str:
    return fingerprint(files)


def _seeds(manifest: Manifest, size: str, given: Sequence[Any] | None) -> list[int]:
    if given is None:
        return manifest.seeds_of(size)
    if not all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2**32 for s in given):
        raise InputError(f"-s seeds={list(given)}: seeds are whole numbers from 0 to 2**32 - 1")
    return list(dict.fromkeys(given))


def _policies(
    manifest: Manifest, size: str, given: Sequence[Any] | None, registry: Any
) -> list[str | None]:
    if given is None:
        return manifest.policies_of(size)
    if registry is None:
        raise InputError(f"{manifest.id} compares no policies")
    try:
        return [registry.check(name) for name in dict.fromkeys(map(str, given))]
    except UnknownNameError as error:
        raise InputError(f"-s policies: {error}") from None


def _blocks(manifest: Manifest, size: str, overrides: Overrides) -> list[Block]:
    """Replace the values of overridden grid axes; add those that the sweep does not have."""
    blocks, left = [], dict(overrides)
    for block in manifest.axes_of(size):
        if block.grid is not None:
            grid = {name: list(left.pop(name, values)) for name, values in block.grid.items()}
            blocks.append(block.model_copy(update={"grid": grid}))
            continue
        for name in left:
            if block.sets(name):
                raise InputError(f"-s {name}: belongs to a {block.shape} block; edit the manifest")
        blocks.append(block)
    if left:
        try:
            blocks.append(Block.model_validate({"grid": {n: list(v) for n, v in left.items()}}))
        except ValidationError as error:
            reason = explain(error.errors(include_url=False)[0], Block)
            raise InputError(f"-s {', '.join(left)}: {reason}") from None
    return blocks
