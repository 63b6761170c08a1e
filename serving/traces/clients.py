"""Where distributions of clients' lengths are published, and where they are looked for.

As the catalogue of traces, but an entry is a folder, and pools are drawn from it by seed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from policies.registry import UnknownNameError
from serving.traces import servegen
from serving.traces.base import TraceError
from serving.traces.catalog import data_folder, digest


@dataclass(frozen=True)
class ClientSet:
    """One published set of clients.

    Attributes:
        name: as a manifest writes it.
        path: of the folder, relative to the data folder.
        published: repository and commit.
        licence: of the data.
        sha256: as `clients_digest` gives it for the folder that the project was tested with.
    """

    name: str
    path: str
    published: str
    licence: str
    sha256: str


_TABLE = (
    ClientSet(
        "reason-deepseek-r1",
        "traces/servegen/reason_deepseek-r1",
        "github.com/alibaba/ServeGen f891d118",
        "Apache-2.0",
        "029c37ef4be9056d4851548635159302767dc7a3a57fe1bea1c176ef6ace6571",
    ),
)
CLIENTS = {entry.name: entry for entry in _TABLE}


def clients_named(name: str) -> ClientSet:
    """Return the entry.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in CLIENTS:
        raise UnknownNameError("set of clients", name, CLIENTS)
    return CLIENTS[name]


def locate_clients(name: str) -> Path | None:
    """Return the folder, or None if it is not on this machine."""
    path = data_folder() / clients_named(name).path
    return path if path.is_dir() else None


def clients_missing_message(name: str) -> str:
    """Return where to get the distributions and where to put them."""
    entry = clients_named(name)
    place = data_folder() / entry.path
    return f"clients {name!r} are absent: put {entry.published} ({entry.licence}) at {place}"


def clients_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and digests of the folder's `chunk-*` files."""
    lines = [f"{digest(path)}  {path.name}\n" for path in sorted(folder.glob("chunk-*"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load_clients(name: str, sha256: str | None = None) -> tuple[servegen.Window, ...]:
    """Read the distributions.

    Raises:
        TraceError: absent, malformed, or not the folder with that `sha256`.
    """
    folder = locate_clients(name)
    if folder is None:
        place = data_folder() / clients_named(name).path
        raise TraceError(place, None, None, clients_missing_message(name))
    if sha256 is not None and clients_digest(folder) != sha256:
        raise TraceError(folder, None, None, "has changed: its SHA-256 is not that of this run")
    return servegen.load(folder)
