"""The page of dependencies names each one that the project declares, and none that nothing uses."""

from __future__ import annotations

import re
import tomllib

import pytest

from experiments.paths import PACKAGES, ROOT

ROW = re.compile(r"^\| `([\w.-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
MODULES = {
    "apache-tvm": "tvm",
    "apache-tvm-ffi": "tvm_ffi",
    "scikit-learn": "sklearn",
    "stable-baselines3": "stable_baselines3",
}
"""Name of a package -> name that it is imported by, where these differ."""
TABLE = {name: (licence, use) for name, licence, use in ROW.findall(
    (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
)}  # fmt: skip


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    lists = [project["project"]["dependencies"], *extras.values(), *groups.values()]
    texts = [text for texts in lists for text in texts if isinstance(text, str)]
    names = {re.split(r"[\[<>=!~ ]", text, maxsplit=1)[0] for text in texts}
    return names - {"triptych"}


def imports() -> str:
    folders = [ROOT / name for name in (*PACKAGES, "tests")]
    lines = re.compile(r"^\s*(?:from|import) [\w.]+", re.MULTILINE)
    return "\n".join(
        line
        for folder in folders
        for path in folder.rglob("*.py")
        for line in lines.findall(path.read_text(encoding="utf-8"))
    )


def test_the_table_has_every_dependency_and_no_other() -> None:
    assert set(TABLE) == declared()


def test_each_is_locked() -> None:
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    found = {name.lower().replace("_", "-").replace(".", "-") for name in locked}
    assert {name.replace(".", "-") for name in TABLE} <= found


@pytest.mark.parametrize("name", [name for name, (_, use) in TABLE.items() if use[0] != "("])
def test_each_is_imported_unless_the_table_says_what_needs_it(name: str) -> None:
    module = re.escape(MODULES.get(name, name))
    assert re.search(rf"^\s*(?:from|import) {module}\b", imports(), re.MULTILINE)
