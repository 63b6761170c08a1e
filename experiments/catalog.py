"""All experiments that exist, quickly: manifests parsed and planned once, then kept.

The cache is keyed by name, size and time of every manifest, source file and data file; when one
changes, all of it is made again. Reading it needs no YAML, no pydantic and no policy.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.files import read_json, write_json
from experiments.paths import MANIFESTS, PACKAGES, ROOT, cache_root, data_root
from experiments.problems import InputError, InvalidManifest, Problem
from policies.registry import nearest

if TYPE_CHECKING:
    from experiments.manifest import Manifest

SIZES = ("quick", "standard", "paper")
WATCHED = (".py", ".yaml", ".json", ".rule", ".safetensors")
"""Ends of the names of files in the project that fingerprints or plans may hang on."""


@dataclass(frozen=True)
class Entry:
    """One experiment, as `list` shows it.

    Attributes:
        runs: size -> list of (run id, index into `fingerprints`).
        needs: capabilities without which none of its runs can start.
        manifest: what the checked manifest says, as JSON values.
    """

    id: str
    file: str
    title: str
    question: str
    panel: str
    artefact: str
    promise: str
    claims: list[str]
    policies: list[str]
    needs: list[str]
    seconds: dict[str, float]
    fingerprints: list[str]
    runs: dict[str, list[list[Any]]]
    manifest: dict[str, Any]

    @property
    def paper(self) -> str:
        """The paper's short name."""
        return self.id.split("/")[0]


def manifest_of(entry: Entry) -> Manifest:
    """Return the manifest of an experiment; it was checked when the catalogue was made."""
    from experiments.manifest import Manifest

    return Manifest.model_validate(entry.manifest)


def entries() -> list[Entry]:
    """Return every experiment in the manifests folder, ordered by id.

    Raises:
        InvalidManifest: with the faults of all manifests.
    """
    path, key = cache_root() / "catalog.json", _key()
    cached = read_json(path)
    if isinstance(cached, dict) and cached.get("key") == key:
        return [Entry(**item) for item in cached["entries"]]
    found = _read_all()
    try:
        write_json(path, {"key": key, "entries": [asdict(entry) for entry in found]})
    except OSError:  # a read-only checkout lists as well, only slower
        return found
    return found


def select(patterns: Sequence[str], among: Iterable[Entry]) -> list[Entry]:
    """Return the experiments that any of the names or globs match, ordered by id.

    A pattern without a slash matches the second half of the id as well (`fig11`, `orders-*`).

    Raises:
        InputError: a pattern matches nothing; the nearest name is offered.
    """
    among, chosen = list(among), {}
    for pattern in patterns:
        hits = [e for e in among if _matches(e.id, pattern)]
        if not hits:
            names = [n for e in among for n in (e.id, e.id.split("/")[1])]
            near = nearest(pattern, names)
            hint = f"; did you mean {near!r}?" if near else "; see `triptych list`"
            raise InputError(f"no experiment matches {pattern!r}{hint}")
        chosen.update({e.id: e for e in hits})
    return [chosen[name] for name in sorted(chosen)]


def _matches(name: str, pattern: str) -> bool:
    if fnmatch.fnmatchcase(name, pattern):
        return True
    return "/" not in pattern and fnmatch.fnmatchcase(name.split("/")[1], pattern)


def _read_all() -> list[Entry]:
    problems: list[Problem] = []
    found: list[Entry] = []
    for path in sorted(MANIFESTS.glob("*/*.yaml"), key=lambda path: path.with_suffix("")):
        try:
            found.append(_read(path))
        except InvalidManifest as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidManifest(problems)
    return found


def _read(path: Path) -> Entry:
    from experiments.check import load_manifest
    from experiments.kinds.base import KINDS
    from experiments.plan import make_plan

    manifest = load_manifest(path)
    fingerprints: list[str] = []
    runs: dict[str, list[list[Any]]] = {}
    for size in SIZES:
        planned = make_plan(manifest, size).runs
        for spec in planned:
            if spec.fingerprint not in fingerprints:
                fingerprints.append(spec.fingerprint)
        runs[size] = [[spec.id, fingerprints.index(spec.fingerprint)] for spec in planned]
    return Entry(
        id=manifest.id,
        file=str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path),
        title=manifest.title,
        question=manifest.question,
        panel=manifest.panel,
        artefact=manifest.artefact,
        promise=manifest.promise,
        claims=[f"{manifest.id}#{claim.id}" for claim in manifest.claims],
        policies=list(manifest.policies),
        needs=sorted({*manifest.needs, *KINDS.get(manifest.kind).needs}),
        seconds={size: manifest.size(size).seconds for size in SIZES},
        fingerprints=fingerprints,
        runs=runs,
        manifest=manifest.model_dump(mode="json", by_alias=True, exclude_unset=True),
    )


def _key() -> str:
    digest = hashlib.sha256(f"{MANIFESTS}\n{data_root()}\n".encode())
    folders = [ROOT / name for name in PACKAGES] + [MANIFESTS, data_root()]
    for path in sorted(file for folder in folders for file in _files(folder)):
        digest.update(path.encode() + b"\n")
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[str]:
    """Yield `path size time` of each source, manifest or data file below `folder`."""
    is_code = folder.is_relative_to(ROOT) and folder != data_root()
    seen: set[str] = set()  # links are followed, data often lie on another disk; cycles are not
    for place, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [n for n in subfolders if n != "__pycache__" and n[0] != "."]
        for name in names:
            if not is_code or name.endswith(WATCHED):
                path = os.path.join(place, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                yield f"{path} {status.st_size} {status.st_mtime_ns}"
