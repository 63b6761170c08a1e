"""Names resolve to the checkout, imports point in the allowed directions, the start is light."""

from __future__ import annotations

import ast
import graphlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.paths import PACKAGES, ROOT

# Who may import whom (ARCHITECTURE.md, "Arrows"). A module belongs to the longest name here that
# begins its own; within one name everything may import everything. Add a line for a sub-package
# of its own; think twice before adding an arrow.
LEAVES = (
    "experiments.paths",
    "policies.registry",
    "sim.compile_cache",
    "sim.gpu.hardware",
    "sim.gpu.models",
    "sim.gpu.overlap",
    "sim.streams",
    "tuning.operators",
    "tuning.space",
)
BASE = (*LEAVES, "experiments.setup")
POLICIES = (
    *("policies.congestion", "policies.ordering", "policies.search"),
    *("policies.rules", "policies.distill"),
)
SIMULATORS = ("sim.gpu", "sim.net")
ENGINES = (
    *("serving.engine", "serving.overlap", "serving.profiles", "serving.traces", "serving.vllm"),
    *("emu", "tuning"),
)
TOOLS = (
    *("experiments.doctor", "experiments.kinds", "experiments.problems"),
    *("experiments.calibrate", "experiments.datapath", "experiments.json_output"),
)
ARROWS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LEAVES, LEAVES),
    "experiments.setup": ("experiments.paths",),
    "serving": LEAVES,  # the modules at its top are data types: pool, tree, density
    "policies.congestion": (*LEAVES, "policies.rules"),
    "policies.ordering": (*LEAVES, "serving"),
    "policies.rules": LEAVES,
    "policies.search": LEAVES,
    "sim.gpu": LEAVES,
    "sim.net": (*LEAVES, "policies.congestion"),
    "serving.traces": (*BASE, "serving"),
    "serving.profiles": (*BASE, "serving", "serving.traces", "sim.gpu"),
    "serving.vllm.remote": (),  # runs under another Python
    "serving.vllm": (*BASE, "serving", "serving.engine", "policies.ordering", "sim.gpu"),
    "serving.overlap.on_gpu": (),  # is copied to the machine with the GPU
    "serving.overlap": (
        *(*BASE, "serving", "serving.engine", "serving.overlap.on_gpu", "serving.vllm"),
        *("policies.ordering", "sim.gpu"),
    ),
    "serving.engine": (*BASE, "serving", "policies.ordering", "sim.gpu"),
    "emu": (*BASE, "policies.congestion", "policies.rules", "sim.net"),
    "tuning": (*BASE, "policies.search", "sim.gpu"),
    "policies.distill": (*BASE, "policies.congestion", "policies.rules", "sim.net"),
    "experiments.doctor": ("experiments.paths", "experiments.setup", "sim.compile_cache"),
    # The machinery knows no engine; kinds of run are where engines and machinery meet.
    "experiments.kinds": (*BASE, "serving", *POLICIES, *SIMULATORS, *ENGINES),
    "experiments.datapath": ("experiments.problems", "experiments.json_output", "emu"),
    "experiments.calibrate": (
        *(*BASE, "experiments.problems", "experiments.json_output", "serving.vllm"),
    ),
    "experiments.json_output": (),
    "experiments.problems": (),
    "experiments": (*BASE, *TOOLS),
    "experiments.compiling": (*BASE, *TOOLS, "experiments", *POLICIES[:2]),
}
HEAVY = (
    *("torch", "tvm", "pyoperon", "numba", "pandas"),
    *("matplotlib", "scipy", "duckdb", "pyarrow", "dask"),
)


def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _node(module: str) -> str:
    """Return the name in ARROWS that `module` belongs to; itself if nobody declared it."""
    names = [name for name in ARROWS if module == name or module.startswith(f"{name}.")]
    return max(names, key=len, default=module)


def _imports(module: str, source: str, is_package: bool) -> Iterator[str]:
    """Yield our modules that `source` imports, anywhere in it, functions included."""
    for node in ast.walk(ast.parse(source, module)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = module.split(".")[: None if is_package else -1]
            home = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*home, *([node.module] if node.module else [])])
            targets = [
                name if (name := f"{base}.{alias.name}") in MODULES else base
                for alias in node.names
            ]
        else:
            continue
        yield from (target for target in targets if target.split(".")[0] in PACKAGES)


def _edges() -> dict[tuple[str, str], list[str]]:
    """Return (from, to) between names of ARROWS -> the modules that make the arrow."""
    found: dict[tuple[str, str], list[str]] = {}
    for module, path in MODULES.items():
        source = path.read_text(encoding="utf-8")
        for target in _imports(module, source, path.name == "__init__.py"):
            if (edge := (_node(module), _node(target)))[0] != edge[1]:
                found.setdefault(edge, []).append(f"{module} -> {target}")
    return found


def test_imports_follow_the_declared_arrows():
    strangers = {e: why for e, why in _edges().items() if e[1] not in ARROWS.get(e[0], ())}
    assert not strangers


def test_declared_and_real_arrows_have_no_cycle():
    engines_and_up = {name: set(allowed) for name, allowed in ARROWS.items() if name not in LEAVES}
    graphlib.TopologicalSorter(engines_and_up).prepare()
    real: dict[str, set[str]] = {}
    for source, target in _edges():
        real.setdefault(source, set()).add(target)
    graphlib.TopologicalSorter(real).prepare()


def test_scan_sees_imports_in_functions_and_relative_ones():
    source = "def f():\n    import sim.streams\n    from experiments import paths\n"
    source += "from . import registry\n"
    found = set(_imports("policies.other", source, is_package=False))
    assert found == {"sim.streams", "experiments.paths", "policies.registry"}


@pytest.mark.parametrize("name", PACKAGES)
def test_top_level_names_resolve_to_the_checkout(name):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert [Path(p).resolve() for p in spec.submodule_search_locations or []] == [ROOT / name]


def test_tests_is_not_packaged():
    names = importlib.metadata.distribution("triptych").read_text("top_level.txt")
    assert set((names or "").split()) == set(PACKAGES)


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"]])
def test_start_is_light(arguments, tmp_path):
    code = (
        "import sys\nfrom experiments.cli import main\n"
        f"sys.argv = ['triptych', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    env = os.environ | {
        "TRIPTYCH_CACHE": str(tmp_path / "cache"),
        "TRIPTYCH_RESULTS": str(tmp_path / "results"),
    }
    for _ in ("cold cache", "warm cache"):
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == "[]"
