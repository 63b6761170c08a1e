"""Readers of measured profiles: small files, every way in which one can be wrong, real ones."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.profiles import catalog
from serving.profiles.costs import decode_attention_bytes_s, measured_costs, resources_of
from serving.profiles.files import digest_of
from serving.profiles.llmservingsim import read_profile
from serving.profiles.recorded_run import read_run
from serving.profiles.vidur import read_dense
from serving.traces.base import TraceError
from sim.gpu.models import model_named
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import Batch, step_cost
from tests.needs import need_data
from tests.serving.profile_files import launch_us, write_dense, write_profile

LLAMA = model_named("llama-3-8b")
HEADS = {
    "dense.csv": "layer,tokens,time_us\n",
    "per_sequence.csv": "layer,sequences,time_us\n",
    "attention.csv": "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n",
    "meta.yaml": "",
}
# File -> (what it holds instead, row, message).
MALFORMED = {
    "no kernel": ("dense.csv", HEADS["dense.csv"], None, "holds no measurement"),
    "missing kernel": (
        "dense.csv",
        HEADS["dense.csv"] + "act_fn,1,2\n",
        None,
        "'down_proj' is mis",
    ),
    "zero time": ("dense.csv", HEADS["dense.csv"] + "act_fn,1,0\n", 2, "above 0"),
    "NaN": ("dense.csv", HEADS["dense.csv"] + "act_fn,1,nan\n", 2, "no number from 0"),
    "text": ("dense.csv", HEADS["dense.csv"] + "act_fn,1,fast\n", 2, "no number from 0"),
    "other digits": ("dense.csv", HEADS["dense.csv"] + "act_fn,1,٣\n", 2, "no number from 0"),
    "no tokens": ("dense.csv", HEADS["dense.csv"] + "act_fn,0,2\n", 2, "out of range"),
    "twice": ("dense.csv", HEADS["dense.csv"] + "act_fn,1,2\nact_fn,1,2\n", 3, "is there twice"),
    "column": ("per_sequence.csv", "layer,time_us\n", 1, "column is missing"),
    "cut row": ("attention.csv", HEADS["attention.csv"] + "0,0,1\n", 2, "cut off"),
    "no grid": ("attention.csv", HEADS["attention.csv"] + "0,0,1,16,9\n", None, "is a grid of"),
    "point twice": ("attention.csv", HEADS["attention.csv"] + "0,0,1,16,9\n" * 2, 3, "twice"),
    "no yaml": ("meta.yaml", "a: [", None, "no YAML"),
    "no mapping": ("meta.yaml", "- 1\n", None, "no YAML mapping"),
    "no gpu": ("meta.yaml", "model: x\n", None, "is missing"),
    "a type": ("meta.yaml", "gpu: !!python/object:os.system x\n", None, "no YAML"),
    "mixtral": (
        "meta.yaml",
        "gpu: x\nmodel: y\narchitecture: mixtral\n",
        None,
        "'mixtral' is not known",
    ),
    "two layers": (
        "meta.yaml",
        "gpu: x\nmodel: y\narchitecture: llama\n"
        "engine_effective: {hf_overrides: {num_hidden_layers: 2}}\n",
        None,
        "a model of 1 layer",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_profiles_end_in_one_message(tmp_path, name):
    """The error carries file, row and reason."""
    file, content, row, message = MALFORMED[name]
    folder = write_profile(tmp_path / "profile")
    (folder / file).write_text(content)
    with pytest.raises(TraceError, match=message) as caught:
        read_profile(folder)
    assert caught.value.row == row
    assert str(folder / file) in str(caught.value)


def test_a_hole_in_the_grid_is_named(tmp_path):
    """A point that can be measured and was not is no silent zero."""
    path = write_profile(tmp_path / "profile") / "attention.csv"
    text = path.read_text()
    path.write_text("\n".join(r for r in text.splitlines() if not r.startswith("256,16,8,16,")))
    with pytest.raises(TraceError, match=r"'prefill_chunk': 256.*'n_decode': 8.*is missing"):
        read_profile(path.parent)


@given(st.binary(max_size=200), st.sampled_from(sorted(HEADS)))
@settings(deadline=None, max_examples=60)
def test_random_bytes_never_escape(tmp_path_factory, content, file):
    """Whatever a file holds, it is a profile or a `TraceError`."""
    folder = write_profile(tmp_path_factory.mktemp("fuzz"))
    (folder / file).write_bytes(HEADS[file].encode() + content)
    with contextlib.suppress(TraceError):
        assert read_profile(folder).attention.ns.min() >= 0
    (folder / "meta.json").write_bytes(b"{" + content)
    with pytest.raises(TraceError):
        read_run(folder)


def test_layers_count_as_often_as_they_run(tmp_path):
    """A step is layers x (8 kernels) + embedding, last norm, head, sampler + attention."""
    costs = read_profile(write_profile(tmp_path)).step_costs(3, Sum(), 512)
    kernel_us, sampled_us = 1 + 0.01 * 8, 1 + 0.01 * 8
    compute, memory, step = step_cost(costs, Batch(8, 0, 0, 0, 8, 8 * 16, 8))
    assert compute == pytest.approx(1e3 * ((3 * 8 + 2) * kernel_us + 2 * sampled_us), abs=2)
    assert memory == pytest.approx(3e3 * launch_us(0, 0, 8, 16), abs=2)
    assert step == pytest.approx(compute + memory, abs=2)


def test_graphs_pad_the_dense_operators_only(tmp_path):
    """7 tokens cost what 8 do where a graph of 8 was captured; 9 run as they are."""
    profile = read_profile(write_profile(tmp_path))
    plain = profile.step_costs(2, Sum(), 64)
    graphs = profile.step_costs(2, Sum(), 64, (1, 8))
    assert graphs.dense_ns[7] == plain.dense_ns[8] > plain.dense_ns[7]
    assert graphs.dense_ns[9] == plain.dense_ns[9]
    assert np.array_equal(graphs.attention.ns, plain.attention.ns)
    with pytest.raises(ValueError, match="up to 2048 tokens, not up to 4096"):
        profile.step_costs(2, Sum(), 4096)


def test_the_meta_file_may_lie_one_level_up(tmp_path):
    """As the profiler writes it; the digest covers it there too."""
    folder = write_profile(tmp_path / "tp1")
    before = digest_of("kernels", folder)
    (folder / "meta.yaml").rename(tmp_path / "meta.yaml")
    assert read_profile(folder).gpu == "NVIDIA Test 1"
    assert digest_of("kernels", folder) == before
    (tmp_path / "meta.yaml").write_text("gpu: other\nmodel: x\narchitecture: llama\n")
    assert digest_of("kernels", folder) != before


def test_dense_profiles_are_read_by_degree(tmp_path):
    """Two GPUs take half as long here; another degree is refused; rows of a point are averaged."""
    path = write_dense(tmp_path / "mlp.csv")
    one, two = read_dense(path, 1), read_dense(path, 2)
    assert two.layer_ns(512) == pytest.approx(one.layer_ns(512) / 2, rel=1e-3)
    assert one.gemm.table(128)[128] == pytest.approx(4 * 110_000)
    assert (one.layer_weights, one.head_weights) == (218_103_808, 525_336_576)
    with pytest.raises(TraceError, match="nothing for 8 GPUs"):
        read_dense(path, 8)
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], rows[1], rows[1].replace("0.11000", "0.33000")]))
    assert read_dense(path, 1).gemm.ns[0] == pytest.approx(4 * 220_000)


@given(gpus=st.sampled_from([1, 2]), quantum=st.sampled_from([1, 128]), tokens=st.integers(1, 2048))
@settings(deadline=None, max_examples=30)
def test_measured_rates_bound_every_step(tmp_path_factory, gpus, quantum, tokens):
    """No step computes faster than the rate of the optimum; the quantum never makes it cheaper."""
    path = write_dense(tmp_path_factory.mktemp("dense") / "mlp.csv")
    profile = read_dense(path, gpus)
    size = {"max_tokens": 2048, "gpus": gpus}
    costs = measured_costs(profile, "a100-80", LLAMA, Sum(), **size, quantum=quantum)
    plain = measured_costs(profile, "a100-80", LLAMA, Sum(), **size)
    resources = resources_of(costs, LLAMA)
    assert costs.dense_ns[tokens] >= plain.dense_ns[tokens]
    assert costs.dense_ns[tokens] >= 1e9 * resources.compute_s_per_token * tokens * (1 - 1e-12)
    assert resources.memory_s_per_kv_token == pytest.approx(131_072 / 1.623e12 / gpus, rel=1e-3)


def test_attention_is_known_for_the_a100_only():
    """28.89 / 35.60 of 2,000 GB/s (NanoFlow, Table 2)."""
    assert decode_attention_bytes_s("a100-80") == pytest.approx(1623e9, rel=1e-3)
    with pytest.raises(ValueError, match="not on h100"):
        decode_attention_bytes_s("h100")


def test_catalogue_says_where_missing_data_are(tmp_path, monkeypatch):
    """Absent entries are None, and the message names the publisher and the place."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    for name, entry in catalog.PROFILES.items():
        assert catalog.locate(name, entry.kind) is None
        with pytest.raises(TraceError, match=entry.published.split(",")[0]):
            catalog.located(name, entry.kind)
    with pytest.raises(TraceError, match="is of kind 'run'"):
        catalog.locate("vllm-rtx4090", "kernels")
    with pytest.raises(TraceError, match="does not exist; names in the catalogue"):
        catalog.locate("vllm-rtx4091", "run")


def test_own_folders_are_found_and_pinned(tmp_path, monkeypatch):
    """A path may be absolute or below the data folder; a changed file is refused."""
    folder = write_profile(tmp_path / "own")
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    assert catalog.locate("own", "kernels") == catalog.locate(str(folder), "kernels") == folder
    pinned = digest_of("kernels", folder)
    assert catalog.located("own", "kernels", pinned) == folder
    write_profile(folder, gpu="another")
    with pytest.raises(TraceError, match="has changed"):
        catalog.located("own", "kernels", pinned)
    (folder / "dense.csv").unlink()
    with pytest.raises(TraceError, match=r"dense\.csv: is missing"):
        catalog.locate("own", "kernels")


@pytest.mark.parametrize("name", sorted(catalog.PROFILES))
def test_public_profiles_are_as_catalogued(name):
    """Digest and readability of the real files."""
    entry = catalog.PROFILES[name]
    path = need_data(entry.path)
    assert digest_of(entry.kind, path) == entry.sha256
    read = {"dense": lambda p: read_dense(p, 1), "kernels": read_profile, "run": read_run}
    read[entry.kind](path)


def test_table_1_is_met_by_rates_measured_elsewhere():
    """GEMMs within 9 % of the measured column, with a time per token that jumps with the waves."""
    path = need_data(catalog.PROFILES["vidur-a100-llama-3-8b"].path)
    table = read_dense(path, 1).gemm.table(2048) / 1e6
    for batch, real_ms in ((512, 1.087), (768, 1.537), (1024, 2.005)):
        assert table[batch] == pytest.approx(real_ms, rel=0.09)
    assert table[640] / 640 > 1.05 * table[512] / 512
