"""Registries: names from the text of a folder, entries on demand, plug-ins by request only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import registry as registry_module
from policies.ordering.base import ORDERS
from policies.registry import Registry, UnknownNameError, load_plugin, nearest

HEADER = "from {package} import register\n"
ENTRY = '@register("{name}")\nclass {cls}:\n    pass\n'


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry over a package of its own, with one file of two entries and one of none."""
    package = f"toys_{tmp_path.name}".replace("-", "_").replace("[", "_").replace("]", "_")
    monkeypatch.setattr(registry_module, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / package
    folder.mkdir()
    registry: Registry = Registry(package, "toy")
    init = f"import policies.registry\nregister = policies.registry.BOX[{package!r}].register\n"
    monkeypatch.setattr(registry_module, "BOX", {package: registry}, raising=False)
    (folder / "__init__.py").write_text(init)
    text = HEADER.format(package=package)
    text += ENTRY.format(name="ball", cls="Ball") + ENTRY.format(name="bear", cls="Bear")
    (folder / "two.py").write_text(text)
    (folder / "none.py").write_text("raise RuntimeError('imported for nothing')\n")
    yield registry
    for name in [n for n in sys.modules if n.startswith((package, "triptych_plugin_mine"))]:
        del sys.modules[name]


def plugin(folder: Path, registry: Registry, body: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER.format(package=registry.package) + body)
    return path


def test_names_are_found_without_importing_anything(toys: Registry, tmp_path: Path) -> None:
    assert toys.names() == ["ball", "bear"]
    assert toys.paths() == dict.fromkeys(("ball", "bear"), tmp_path / toys.package / "two.py")
    assert toys.check("ball") == "ball"
    assert f"{toys.package}.two" not in sys.modules


def test_an_entry_is_imported_when_it_is_asked_for(toys: Registry) -> None:
    ball = toys.get("ball")
    assert (ball.__name__, ball.name) == ("Ball", "ball")
    assert toys.get("ball") is ball
    assert f"{toys.package}.none" not in sys.modules


def test_a_new_file_is_seen_at_once(toys: Registry, tmp_path: Path) -> None:
    text = HEADER.format(package=toys.package) + ENTRY.format(name="kite", cls="Kite")
    (tmp_path / toys.package / "new.py").write_text(text)
    assert toys.get("kite").name == "kite"


@pytest.mark.parametrize(("name", "near"), [("bal", "ball"), ("Bear", "bear"), ("bears", "bear")])
def test_an_unknown_name_offers_the_nearest_and_lists_all(
    toys: Registry, name: str, near: str
) -> None:
    for ask in (toys.check, toys.get):
        with pytest.raises(UnknownNameError) as caught:
            ask(name)
        assert (
            str(caught.value) == f"unknown toy {name!r}; did you mean {near!r}? (known: ball, bear)"
        )


@given(st.text(max_size=200), st.lists(st.text(max_size=10), max_size=5))
def test_nearest_is_one_of_those_allowed_or_none(name: str, allowed: list[str]) -> None:
    found = nearest(name, allowed)
    assert found is None or found in allowed
    if name in allowed and name and len(name) <= 80:
        assert found == name


def test_two_classes_of_one_name_are_refused(toys: Registry) -> None:
    toys.register("kite")(type("Kite", (), {}))
    with pytest.raises(ValueError, match="two toy entries are called 'kite'"):
        toys.register("kite")(type("Other", (), {}))


def test_a_plugin_adds_a_name(toys: Registry, tmp_path: Path) -> None:
    path = plugin(tmp_path, toys, ENTRY.format(name="kite", cls="Kite"))
    assert load_plugin(path, [toys, ORDERS]) == ["kite"]
    assert toys.names() == ["ball", "bear", "kite"]
    assert toys.paths()["kite"] == path
    assert toys.get("kite").__name__ == "Kite"


def test_a_plugin_is_executed_once(toys: Registry, tmp_path: Path) -> None:
    path = plugin(tmp_path, toys, ENTRY.format(name="kite", cls="Kite"))
    load_plugin(path, [toys])
    kite = toys.get("kite")
    assert load_plugin(str(path), [toys]) == ["kite"]
    assert toys.get("kite") is kite


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("cls", ["Ball", "Other"])
def test_a_plugin_cannot_take_the_name_of_an_entry_of_ours(
    toys: Registry, tmp_path: Path, loaded: bool, cls: str
) -> None:
    """Whether or not ours was imported before, and also if the class is called the same."""
    ours = toys.get("ball") if loaded else None
    with pytest.raises(ValueError, match="ball"):
        load_plugin(plugin(tmp_path, toys, ENTRY.format(name="ball", cls=cls)), [toys])
    assert ours in (None, toys.get("ball"))
    assert toys.get("ball").__module__ == f"{toys.package}.two"


def test_two_plugins_of_one_file_name_and_class_cannot_share_a_name(
    toys: Registry, tmp_path: Path
) -> None:
    body = ENTRY.format(name="kite", cls="Kite")
    load_plugin(plugin(tmp_path / "a", toys, body), [toys])
    with pytest.raises(ValueError, match="kite"):
        load_plugin(plugin(tmp_path / "b", toys, body), [toys])


def test_two_plugins_of_one_file_name_live_side_by_side(toys: Registry, tmp_path: Path) -> None:
    for folder, name in (("a", "kite"), ("b", "drum")):
        body = ENTRY.format(name=name, cls="Toy")
        assert load_plugin(plugin(tmp_path / folder, toys, body), [toys]) == [name]
    assert toys.get("kite") is not toys.get("drum")


@pytest.mark.parametrize(
    ("body", "error"),
    [("x = 1\n", ValueError), ("def f(:\n", SyntaxError), ("1 / 0\n", ZeroDivisionError)],
)
def test_a_bad_plugin_fails_the_same_way_each_time(
    toys: Registry, tmp_path: Path, body: str, error: type[Exception]
) -> None:
    path = plugin(tmp_path, toys, body)
    for _ in range(2):
        with pytest.raises(error):
            load_plugin(path, [toys])
    assert toys.names() == ["ball", "bear"]


def test_what_is_no_file_or_no_python_is_refused(toys: Registry, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.py"):
        load_plugin(tmp_path / "absent.py", [toys])
    with pytest.raises(FileNotFoundError):
        load_plugin(tmp_path, [toys])
    (tmp_path / "mine.txt").write_text("hello")
    with pytest.raises(ValueError, match="not a Python file"):
        load_plugin(tmp_path / "mine.txt", [toys])


def test_names_of_the_projects_registries_are_each_in_one_file() -> None:
    from experiments.kinds.base import KINDS

    for registry in (ORDERS, KINDS):
        folder = registry_module.ROOT.joinpath(*registry.package.split("."))
        found = [
            name
            for path in sorted(folder.glob("*.py"))
            for name in registry_module._names_in(path, path.stat().st_mtime_ns)
        ]
        assert found
        assert len(found) == len(set(found))
        assert all(registry.get(name).name == name for name in found)
