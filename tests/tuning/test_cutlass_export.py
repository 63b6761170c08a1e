"""The folder that goes to a machine with a GPU, up to the launch, and the way back."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tuning.cutlass_sample import AMPERE, kernel
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.operators.reference import random_operands
from tuning.operators.reference import reference as numpy_reference
from tuning.records import Records
from tuning.templates.cutlass import export as exporting
from tuning.templates.cutlass import imported
from tuning.templates.cutlass.library import CutlassTemplates
from tuning.templates.cutlass.problem import Precision
from tuning.templates.cutlass.render import unit

RELU = Epilogue(("bias", "relu"))
GEMM = Gemm(64, 32, 96, epilogue=RELU)
CONV = Conv2d(2, 9, 8, 16, 24, (3, 3), (2, 1), (1, 0), epilogue=Epilogue(("bias", "silu")))
PAIR = Pair(Gemm(64, 32, 48, epilogue=Epilogue(("gelu",))), Gemm(64, 16, 32, epilogue=RELU))
CONV_PAIR = Pair(
    Conv2d(2, 9, 8, 16, 24, (3, 3), (1, 1), (1, 1), epilogue=RELU),
    Conv2d(2, 9, 8, 24, 32, (1, 1), epilogue=Epilogue(("residual", "hardswish"))),
)
BATCHED = Gemm(32, 16, 24, batch=3, constant_b=False, epilogue=Epilogue(("softplus", "residual")))
OPERATORS = (GEMM, CONV, PAIR, CONV_PAIR, BATCHED)


def script(name: str) -> types.ModuleType:
    """Return a module of the exported folder."""
    spec = importlib.util.spec_from_file_location(name, exporting.SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKE = """#!{python}
import pathlib, re, subprocess, sys
if "--version" in sys.argv:
    sys.exit(print("Build fake_1"))
source, made = pathlib.Path(sys.argv[-3]), sys.argv[-1]
text = source.read_text()
if "BROKEN" in text:
    sys.exit("x.cu(1): error: broken on purpose")
names = re.findall(r"int (\\w+)_run\\(", text)
code = "extern \\"C\\" {{" + "".join(
    f"int {{n}}_run() {{{{ return 7; }}}} int {{n}}_can_implement() {{{{ return 0; }}}}"
    f" long {{n}}_workspace_bytes() {{{{ return 64; }}}}" for n in names) + "}}"
command = ["g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", made]
subprocess.run(command, input=code.encode(), check=True)
"""


@pytest.fixture
def fake_nvcc(tmp_path):
    path = tmp_path / "nvcc"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "there"
    exporting.export(place, [CutlassTemplates("h200")], OPERATORS, 2, with_headers=False)
    (place / "cutlass").mkdir()
    return place


def run(folder: Path, nvcc: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "measure.py"), "--nvcc", nvcc, "--jobs", "2", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_a_plan_is_complete(folder):
    plan = json.loads((folder / "plan.json").read_text())
    assert [p["text"] for p in plan["problems"]] == [o.text() for o in OPERATORS]
    assert len({p["id"] for p in plan["problems"]}) == len(OPERATORS)
    for problem in plan["problems"]:
        assert 1 <= len(problem["candidates"]) <= 2
        for row in problem["candidates"]:
            text = (folder / row["file"]).read_text()
            assert f"int {row['symbol']}_run(" in text
            assert row["tensors"] == len(problem["tensors"])
    assert {path.name for path in folder.glob("*.py")} == {"measure.py", "bench.py"}
    for path in folder.glob("*.py"):
        assert not any(f"import {name}" in path.read_text() for name in ("tuning", "experiments"))


def test_equal_sources_keep_their_objects(folder):
    before = {path.name for path in folder.glob("*.cu")}
    exporting.export(folder, [CutlassTemplates("h200")], OPERATORS, 2, with_headers=False)
    assert {path.name for path in folder.glob("*.cu")} == before


def test_up_to_the_launch(folder, fake_nvcc):
    done = run(folder, fake_nvcc, "--build-only")
    assert done.returncode == 0, done.stderr
    assert "0 candidates are refused" in done.stdout
    objects = {path: path.stat().st_mtime_ns for path in folder.glob("*.so")}
    assert len(objects) == len(list(folder.glob("*.cu")))
    again = run(folder, fake_nvcc, "--build-only")
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.so")} == objects
    if not torch.cuda.is_available():
        without = run(folder, fake_nvcc)
        assert without.returncode == 2
        assert without.stdout.splitlines()[-1].startswith("no NVIDIA GPU")
        assert not (folder / "measurements.jsonl").exists()


def test_what_does_not_compile_stops_nothing_else(folder, fake_nvcc):
    first = sorted(folder.glob("*.cu"))[0]
    first.write_text(first.read_text() + "// BROKEN")
    done = run(folder, fake_nvcc, "--build-only")
    assert done.returncode == 0, done.stderr
    assert f"{first.name}: x.cu(1): error: broken on purpose" in done.stdout


def test_time_that_is_up_is_said(folder, fake_nvcc):
    done = run(folder, fake_nvcc, "--build-only", "--seconds", "0")
    assert done.returncode == 3
    assert "out of time" in done.stdout


@pytest.mark.parametrize("text", ["", "{", '{"schema": 2}', "[]"])
def test_another_plan_is_refused(folder, fake_nvcc, text):
    (folder / "plan.json").write_text(text)
    done = run(folder, fake_nvcc)
    assert done.returncode == 1
    assert "plan.json" in done.stdout


def test_no_compiler_is_said(folder):
    done = run(folder, "/nowhere/nvcc")
    assert done.returncode == 1
    assert "cannot be run" in done.stdout


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_scripts_reference_is_the_projects(operator):
    bench, [problem] = script("bench"), _problems([operator])
    given = random_operands(operator)
    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    for tensor in problem["tensors"]:
        if tensor["name"] in ("b", "b1") and problem["parts"][0].get("layout") == "tn":
            tensors[tensor["name"]] = tensors[tensor["name"]].transpose(-1, -2).contiguous()
        assert tensor["role"] == "output" or (
            tensor["role"] == "zeros" or list(tensors[tensor["name"]].shape) == tensor["shape"]
        )
    problem["element"] = "float64"
    found = bench.reference(problem, tensors).numpy()
    wanted = numpy_reference(operator, given)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=3e-5)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("output", ["float16", "bfloat16"])
def test_rounding_explains_what_pytorch_computes(operator, output):
    """PyTorch rounds between steps, kernels do not: kernels stray less than this."""
    bench, [problem] = script("bench"), _problems([operator], Precision(output, "float32", output))
    given = bench.make_operands(problem, 0, "cpu")
    wanted = bench.reference(problem, given)
    once = bench.reference(problem, given, "float32").to(getattr(torch, output))
    assert bench.mismatch(problem, once, wanted) == ""
    assert "beyond the tolerance" in bench.mismatch(problem, once + 0.5, wanted)
    assert "inf" in bench.mismatch(problem, once * float("nan"), wanted)
    for name, call in bench.rivals(problem, given, compiles=False).items():
        found = call(given)
        assert found.shape == wanted.shape
        assert float((found.double() - wanted).abs().max()) < 0.3, name


def test_integers_stop_at_the_ends_of_their_type():
    precision = Precision("int8", "int32", "int8")
    [problem] = _problems([Gemm(64, 32, 96)], precision)
    bench = script("bench")
    given = bench.make_operands(problem, 0, "cpu")
    wanted = bench.reference(problem, given) * 4
    assert wanted.abs().max() > 128
    stored = wanted.round().clamp(-128, 127).to(torch.int8)
    assert bench.mismatch(problem, stored, wanted) == ""
    wrapped = (wanted.round().to(torch.int64) & 255).to(torch.uint8).view(torch.int8)
    assert bench.mismatch(problem, wrapped, wanted) != ""


def _problems(operators, precision=None):
    library = CutlassTemplates("a100-80", precision=precision or Precision())
    chosen = [exporting._chosen(operator, [library], 1) for operator in operators]
    names = {unit.symbol(k): "unit.cu" for picked in chosen for k in picked}
    return [exporting._problem(o, p, names) for o, p in zip(operators, chosen, strict=True)]


class FakeBench:
    """Stands for a GPU: kernels take 1 us, rivals 2 us, and one takes the process down."""

    killer = ""

    def __init__(self, problem, l2_bytes):
        self.sets = [{}]

    def kernel(self, row, kernel):
        if row["name"] == self.killer:
            raise KeyboardInterrupt
        return {"status": "ok", "median_ns": 1e3, "low_ns": 9e2, "high_ns": 2e3, "samples": 5}

    def rival(self, name, compiles):
        return {"status": "ok", "median_ns": 2e3, "low_ns": 9e2, "high_ns": 3e3, "samples": 5}


@pytest.fixture
def measuring(folder, fake_nvcc, monkeypatch):
    """Return a function that does what a call of the script does on a GPU, and what is left."""
    measure = script("measure")
    fake = types.SimpleNamespace(
        Bench=FakeBench,
        Kernel=lambda library, row: None,
        rivals=lambda problem, given, compiles: {"vendor": None},
    )
    monkeypatch.setitem(sys.modules, "bench", fake)
    facts = types.SimpleNamespace(L2_cache_size=1 << 20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: facts)
    plan = measure.load_plan(folder)
    assert run(folder, fake_nvcc, "--build-only").returncode == 0

    def call(seconds: float = 60.0) -> int:
        results = measure.Results(folder / "measurements.jsonl")
        results.add(problem="", name="machine", status="machine", gpu="Fake 1", toolchain="nvcc 1")
        end = measure.time.monotonic() + seconds
        args = types.SimpleNamespace(compile=False, deadline=end)
        return measure.measure(plan, measure.load(folder, plan, {}), {}, results, args)

    return call


def test_a_second_call_does_only_what_is_left(measuring, folder):
    plan = json.loads((folder / "plan.json").read_text())
    count = sum(len(p["candidates"]) + len(p["rivals"]) - 1 for p in plan["problems"])
    assert measuring(seconds=-1.0) == count
    assert measuring() == 0
    size = (folder / "measurements.jsonl").stat().st_size
    with (folder / "measurements.jsonl").open("a") as file:
        file.write('{"problem": "torn')
    assert measuring() == 0
    assert (folder / "measurements.jsonl").stat().st_size < size + 300


def test_a_kernel_that_kills_the_process_is_left_out_next_time(measuring, folder, monkeypatch):
    plan = json.loads((folder / "plan.json").read_text())
    name = plan["problems"][0]["candidates"][0]["name"]
    monkeypatch.setattr(FakeBench, "killer", name)
    with pytest.raises(KeyboardInterrupt):
        measuring()
    assert measuring() == 0
    found, _ = imported.load(folder)
    assert [m.status for m in found[0].kernels].count("crashed") == 1


def test_results_become_records_and_ratios(measuring, folder, tmp_path, capsys):
    assert measuring() == 0
    found, strange = imported.load(folder)
    assert strange == 0
    assert [m.operator for m in found] == list(OPERATORS)
    assert all(m.ratio("vendor") == pytest.approx(2.0) for m in found)
    assert found[0].ratio("cublaslt") is None
    assert imported.main([str(folder), "--records", str(tmp_path / "r.jsonl")]) == 0
    assert "geometric mean over vendor: 2.000x (5 problems)" in capsys.readouterr().out
    entries = Records(tmp_path / "r.jsonl").everything()
    assert len(entries) == sum(len(m.kernels) for m in found)
    assert {entry.key.device for entry in entries} == {"Fake 1 sm_90"}
    assert any(e.key.dtypes == "a=float16 b=float16 bias=float16 d=float16" for e in entries)


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ("nothing", 1),
        ('{"problem": 3, "name": "x", "status": "ok"}', 1),
        ('{"problem": "unknown", "name": "x", "status": "ok"}', 1),
        ('{"problem": "%s", "name": "other", "status": "ok", "median_ns": 5}', 0),
        ('{"problem": "%s", "name": "%s", "status": "ok", "median_ns": -5}', 0),
        ('{"problem": "%s", "name": "%s", "status": "ok", "median_ns": NaN}', 0),
        ('{"problem": "%s", "name": "%s", "status": "splendid", "median_ns": 5}', 0),
        ('{"problem": "%s", "name": "rival:x", "status": "ok", "median_ns": 0}', 0),
    ],
)
def test_a_strange_line_is_no_measurement(folder, line, strange):
    plan = json.loads((folder / "plan.json").read_text())
    first = plan["problems"][0]
    if "%s" in line:
        line = line % ((first["id"], first["candidates"][0]["name"])[: line.count("%s")])
    (folder / "measurements.jsonl").write_text(line + "\n")
    found, counted = imported.load(folder)
    assert not found
    assert counted == strange


def test_results_without_a_machine_are_refused(folder):
    plan = json.loads((folder / "plan.json").read_text())
    name = plan["problems"][0]["candidates"][0]["name"]
    row = {"problem": plan["problems"][0]["id"], "name": name, "status": "ok", "median_ns": 5.0}
    (folder / "measurements.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match="names no GPU"):
        imported.load(folder)
    with pytest.raises(ValueError, match="plan"):
        imported.load(folder / "nowhere")


def test_the_command_tells_what_it_cannot_do(tmp_path, capsys):
    assert exporting.main([str(tmp_path), "--gpu", "voodoo"]) == 1
    assert "voodoo" in capsys.readouterr().err
    assert exporting.main([str(tmp_path), "--problems", "none"]) == 1
    assert imported.main([str(tmp_path / "x")]) == 1


def test_tolerance_grows_with_coarser_types_and_depth():
    def absolute(operator, *types):
        return exporting.tolerance(operator, Precision(*types))[0]

    short, deep = Gemm(64, 64, 64), Gemm(64, 64, 4096)
    assert absolute(short, "float16", "float32", "float16") < absolute(
        deep, "float16", "float32", "float16"
    )
    assert absolute(short, "float16", "float32", "float16") < absolute(
        short, "float16", "float16", "float16"
    )
    assert kernel(AMPERE).accumulate == "float32"
