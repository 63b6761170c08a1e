"""The script that measures overlap: its grid, its kernels, its files; all but the clock."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from experiments.paths import ROOT
from serving.overlap.on_gpu import overlap as command
from serving.overlap.on_gpu.__main__ import main as on_gpu
from serving.overlap.on_gpu.clocks import PRIORITIES, WallClock, measure
from serving.overlap.on_gpu.grid import RATIOS, Point, balance_of, grid
from serving.overlap.on_gpu.kernels import Layer, check_kernels
from serving.overlap.on_gpu.rows import append, rows_of
from serving.overlap.on_gpu.shapes import MODELS
from sim.gpu.models import model_named
from tests.needs import need

FOLDER = ROOT / "serving" / "overlap"


def test_the_grid_has_a_hundred_points_of_all_ratios():
    """Each reads within rounding what its ratio says; none twice, none too large."""
    points = grid(["llama-3-8b"], 153.0)
    assert len(points) == len(set(points)) >= 100
    ratios = [p.read_bytes * 153.0 / p.flop for p in points]
    assert min(ratios) < 0.2
    assert max(ratios) > 7
    near = [min(abs(r / wanted - 1) for wanted in RATIOS) for r in ratios]
    assert sorted(near)[len(near) * 9 // 10] < 0.15
    assert all(p.read_bytes <= 1e9 for p in grid(["llama-3-8b"], 153.0, most_bytes=1e9))
    assert balance_of("NVIDIA A100-SXM4-80GB") == 153
    assert balance_of("something else") == 200


@pytest.mark.parametrize("name", ["llama-3-8b", "llama-2-7b", "llama-3-70b", "qwen-2.5-7b"])
def test_shapes_are_those_of_the_simulator(name):
    """KV bytes are equal; the layers' weights are most of the model's, and not more."""
    ours, theirs = MODELS[name], model_named(name)
    assert ours.kv_bytes * ours.layers == theirs.kv_bytes_per_token
    weights = ours.layers * sum(a * b for a, b in ours.gemms())
    assert 0.8 * theirs.parameters < weights < theirs.parameters
    assert (ours.hidden, ours.layers) == (theirs.hidden, theirs.layers)
    assert Point(name, 7, 1, 1).flop == 2 * 7 * weights // ours.layers


def _torch():
    need("torch")
    import torch

    return torch


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_kernels_agree_with_float64(dtype):
    torch = _torch()
    assert check_kernels(torch, "cpu", getattr(torch, dtype)) < (1e-4, 3e-2)[dtype == "bfloat16"]


def test_wrong_kernels_are_not_timed(monkeypatch):
    """Attention that forgets a key is noticed before anything is measured."""
    torch = _torch()
    attend = torch.nn.functional.scaled_dot_product_attention

    def forgetful(query, key, value):
        return attend(query, key[:, :, 1:], value[:, :, 1:])

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", forgetful)
    with pytest.raises(RuntimeError, match="kernels are off by"):
        check_kernels(torch, "cpu", torch.float32)


def test_operands_rotate():
    """Neighbouring rounds share no weights and no KV; the arena is gone round whole."""
    torch = _torch()
    point = Point("tiny", 4, 2, 8)
    arena = torch.arange(5 * 2 * 8 * 2 * 16, dtype=torch.float32)
    layer = Layer(torch, point, arena, "cpu", torch.float32)
    starts = [int(layer.next_kv().flatten()[0]) for _ in range(6)]
    size = 2 * 8 * 2 * 16
    assert starts == [0, size, 2 * size, 3 * size, 4 * size, 0]
    assert len({w[0].data_ptr() for w in layer.weights}) == len(layer.weights) >= 2
    layer.gemms()
    first = layer.outputs[0].clone()
    layer.gemms()
    assert not torch.equal(first, layer.outputs[0])


def test_parts_take_turns():
    """T_comp, T_mem, T_both of each priority, and again; warm-ups do not count."""
    asked = []

    class Clock(WallClock):
        def ms(self, layer, compute, memory, priority="equal"):
            asked.append((compute, memory, priority))
            return 4.0 * len(asked)

    found = measure(Clock(), None, 3)
    turn = [(True, False, "equal"), (False, True, "equal")]
    turn += [(True, True, name) for name in PRIORITIES]
    assert asked == turn * 5
    assert found["compute_ms"] == [9.0, 13.0, 17.0]
    assert found["both_ms"]["memory-first"] == [12.0, 16.0, 20.0]


def test_a_dry_run_goes_on_where_it_was(tmp_path, capsys):
    """Stopped by the time, cut short in a line, started again: each point once."""
    _torch()
    out = tmp_path / "o.jsonl"
    words = ["--dry-run", "--repeats", "1", "--out", str(out)]
    assert command.main([*words, "--seconds", "1e-9"]) == 3
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert "points are left: the same command goes on" in said
    assert "all points are there" in said
    whole = out.read_bytes()
    rows = list(rows_of(out, command.FORMAT))
    wanted = grid(["tiny"], 20.0, (4, 8), (8, 32))
    assert [row["point"] for row in rows] == [asdict(point) for point in wanted]
    out.write_bytes(whole[:-30])
    assert len(list(rows_of(out, command.FORMAT))) == len(rows) - 1
    assert command.main(words) == 0
    assert [row["point"] for row in rows_of(out, command.FORMAT)] == [r["point"] for r in rows]
    assert out.read_bytes().startswith(whole[: whole[:-1].rfind(b"\n")])


def test_files_of_others_are_left_alone(tmp_path, capsys):
    _torch()
    out = tmp_path / "o.jsonl"
    row = {"format": command.FORMAT, "version": 1, "device": "A100", "torch": "2.6", "dry": False}
    append(out, row | {"point": {}})
    kept = out.read_bytes()
    assert command.main(["--dry-run", "--out", str(out)]) == 2
    assert "has device = 'A100', here it is 'cpu'; give another --out" in capsys.readouterr().err
    out.write_text("nonsense\n")
    assert command.main(["--dry-run", "--out", str(out)]) == 2
    assert "line 1: no row of triptych-overlap 1" in capsys.readouterr().err
    assert kept != out.read_bytes() == b"nonsense\n"
    with pytest.raises(ValueError, match="JSON"):
        append(out, {"ms": float("nan")})


def test_the_folder_runs_alone(tmp_path):
    """Copied elsewhere, without this project on the path: help, plan, and one line without CUDA."""
    (tmp_path / "on_gpu").mkdir()
    for path in (FOLDER / "on_gpu").glob("*.py"):
        (tmp_path / "on_gpu" / path.name).write_bytes(path.read_bytes())

    def call(*words):
        command = [sys.executable, "-P", "-c", _RUN, *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "hidden fraction" in call("overlap", "--help").stdout
    assert "nano-batches" in call("engine", "--help").stdout
    planned = call("overlap", "--plan", "--models", "llama-3-70b")
    assert planned.returncode == 0
    assert "126 points" in planned.stderr
    assert call("nonsense").returncode == 2


_RUN = """
import sys
sys.path.insert(0, ".")
sys.modules["serving"] = sys.modules["experiments"] = None
from on_gpu.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_cuda_it_is_one_line(capsys):
    torch = _torch()
    if torch.cuda.is_available():
        return
    assert command.main([]) == 2
    assert "CUDA is not here" in capsys.readouterr().err
    assert command.main(["--seconds", "0"]) == 2
    assert "must be positive" in capsys.readouterr().err


def test_without_a_command_it_says_what_there_is(capsys):
    assert on_gpu([]) == 0
    assert "on_gpu overlap --help" in capsys.readouterr().out


def test_the_summary_is_by_region():
    def row(c, m, both):
        times = {"compute_ms": [c], "memory_ms": [m]}
        return times | {"both_ms": {"equal": [both + 1], "memory-first": [both]}}

    rows = [row(4.0, 1.0, 4.5), row(4.0, 1.0, 4.25), row(1.0, 1.0, 2.0), row(1.0, 1.0, 1.0)]
    assert command.hidden(rows[0]) == 0.5
    told = command.summary(rows).splitlines()
    assert told[0].startswith("compute longer: h = 0.62")
    assert told[1].startswith("alike: h = 0.50")
    assert json.dumps(told)
