"""Sources alone have their printed densities; mixes of any source meet their targets."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.kinds.base import KINDS
from serving.mixes import alone, blend
from serving.sharing import max_saved_tokens, pool_density
from serving.sources import (
    AZURE,
    COMPUTE_SOURCES,
    OPENVID_RAW,
    SOURCES,
    WILDCHAT,
    RealLengths,
)
from serving.traces.catalog import entry_named
from tests.needs import need_data
from tests.serving.pools import RESOURCES


def measured(source, requests=200_000, block_tokens=8):
    """Return (density without 1 - s, share of all tokens that sharing saves) of a source alone."""
    workload = alone(source, requests, block_tokens, np.random.default_rng(3))
    pool, output = workload.pool, workload.output_tokens
    saved = max_saved_tokens(pool)
    total = int(pool.prompt_tokens.sum() + output.sum())
    return pool_density(pool, output, 0, RESOURCES), saved / total


PRINTED = [("burstgpt", 17.78), ("azure", 33.2), ("sharegpt", 3.12), ("wildchat", 2.13)]


def expected(source):
    """Return the density in closed form, as in the table of `serving.sources`."""
    p, d, c = source.prompt_mean, source.output_mean, source.output_cv
    read_s = (p * d + d * d * (1 + c * c) / 2) * RESOURCES.memory_s_per_kv_token
    return float(RESOURCES.comp_s(np.array(p + d)) / read_s)


@pytest.mark.parametrize(("name", "printed"), PRINTED)
def test_sources_alone_have_their_printed_densities(name, printed):
    """Within 1.5 %: the coefficients of variation are rounded, WildChat's would be below 0."""
    assert expected(SOURCES[name]) == pytest.approx(printed, rel=0.015)


@pytest.mark.parametrize("name", COMPUTE_SOURCES)
def test_drawn_densities_are_those_of_the_closed_form(name):
    """Within 5 %; BurstGPT within 25 %, whose largest outputs are rare even in 20,000 draws."""
    source = COMPUTE_SOURCES[name]
    density, _ = measured(source, 20_000)
    assert density == pytest.approx(expected(source), rel=0.25 if name == "burstgpt" else 0.05)


def test_mmlu_has_its_printed_density_with_sharing():
    """54.91 has the factor (1 - s); blocks of 5 divide the prefix of 695 tokens."""
    density, shared = measured(SOURCES["mmlu"], 20_000, 5)
    assert (1 - shared) * density == pytest.approx(54.91, rel=0.05)


def test_openvid_has_not_its_printed_density():
    """The printed .05 is above what its means give, whatever the spread."""
    density, _ = measured(OPENVID_RAW, 5_000)
    assert density < 0.04


@pytest.mark.parametrize(
    ("name", "printed"),
    [("burstgpt", 0.02), ("azure", 0.01), ("sharegpt", 0.02), ("wildchat", 0.19)],
)
def test_sharing_of_sources_is_as_printed(name, printed):
    """Within 0.012: system prompts of 8 tokens are not exactly the printed 1 or 2 %."""
    _, shared = measured(SOURCES[name], 20_000)
    assert shared == pytest.approx(printed, abs=0.012)


GRID = [
    (name, density, sharing)
    for name in COMPUTE_SOURCES
    for density in (0.8, 1.1, 1.4)
    for sharing in (0.05, 0.25, 0.45)
    if name != "wildchat" or sharing > 0.2
]


# paper: blendserve 6.5
@pytest.mark.parametrize(("name", "density", "sharing"), GRID)
def test_the_corners_of_the_grid_can_be_mixed(name, density, sharing):
    """Density within 12 %, sharing within 0.01, at the size of the quick experiments."""
    rng = np.random.default_rng(5)
    workload = blend(density, sharing, 6000, 8, rng, compute=COMPUTE_SOURCES[name])
    pool, output = workload.pool, workload.output_tokens
    saved = max_saved_tokens(pool)
    total = int(pool.prompt_tokens.sum() + output.sum())
    assert len(pool) == 6000
    assert pool_density(pool, output, saved, RESOURCES) == pytest.approx(density, rel=0.12)
    assert saved / total == pytest.approx(sharing, abs=0.01)


@pytest.mark.parametrize("sharing", [0.05, 0.15])
def test_less_sharing_than_the_source_has_is_refused(sharing):
    """WildChat's own sharing cannot be mixed away, and the message says so."""
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"no mix.*wildchat alone shares 0\.2"):
        blend(1.0, sharing, 5000, 8, rng, compute=COMPUTE_SOURCES["wildchat"])


def test_a_wilder_wildchat_is_less_dense():
    """Any spread of outputs lowers the density: none is the best that the means allow."""
    spread, _ = measured(replace(WILDCHAT, output_cv=1.0), 20_000)
    assert spread < 0.8 * measured(WILDCHAT, 20_000)[0]


def test_the_first_draws_are_those_of_always():
    """The default source's draws have not moved since there was no choice of sources."""
    workload = blend(1.4, 0.35, 5000, 8, np.random.default_rng(1))
    assert "3827 burstgpt, 1127 mmlu, 46 openvid" in workload.origin
    kind = KINDS.get("serving-order")
    config = kind.Config.model_validate({"workload": {"kind": "mix", "requests": 300}})
    identity = config.workload.identity()
    assert set(identity) == {"kind", "density", "sharing", "requests", "min_videos"}


def test_real_lengths_are_drawn_in_pairs():
    """Every compute-heavy request of the mix has a pair of the trace, and the origin says which."""
    real = RealLengths("mine", np.array([500, 900, 4]), np.array([10, 20, 30]))
    workload = blend(1.4, 0.1, 2000, 8, np.random.default_rng(0), compute=real)
    assert "lengths of the trace mine" in workload.origin
    pairs = set(zip(workload.pool.prompt_tokens, workload.output_tokens, strict=True))
    assert {(500, 10), (900, 20), (9, 30)} <= pairs


def run_mix(source, requests=1500):
    """Resolve and run a mix; return its outcome and configuration."""
    kind = KINDS.get("serving-order")
    workload = {"kind": "mix", "density": 1.2, "sharing": 0.3, "requests": requests}
    fields = {"workload": workload | {"compute_source": source}}
    config = kind.resolve(kind.Config.model_validate(fields).model_dump())
    return kind.run({**config, "policy": "prefix_dfs", "seed": 0}), config


def test_a_mix_of_an_absent_trace_is_generated_and_told(tmp_path, monkeypatch):
    """Without the file the generator is drawn from, and the notes say where the file is."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    outcome, config = run_mix("azure-code-2023")
    assert config["workload"]["compute_sha256"] is None
    assert f" {AZURE.name}," in outcome.notes[0]
    assert "'azure-code-2023' is absent" in outcome.notes[1]


@pytest.mark.parametrize("name", ["azure-code-2023", "sharegpt-300"])
def test_a_mix_of_a_real_trace_pins_its_digest(name):
    """With the file its lengths are drawn, and the configuration has its SHA-256."""
    need_data(entry_named(name).path)
    outcome, config = run_mix(name, 600)
    assert config["workload"]["compute_sha256"] == entry_named(name).sha256
    assert f"lengths of the trace {name}" in outcome.notes[0]
    assert len(outcome.notes) == 1
