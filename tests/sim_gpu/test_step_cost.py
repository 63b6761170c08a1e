"""The step cost against the paper's printed estimates, and its laws."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import UnknownNameError
from sim.gpu.hardware import GPUS, gpu_named
from sim.gpu.models import MODELS, model_named
from sim.gpu.overlap import Max, Partial, Sum
from sim.gpu.step_cost import Batch, step_cost, step_costs

A100, LLAMA = gpu_named("a100-80"), model_named("llama-3-8b")
COUNTS = st.integers(0, 200_000)


def decoding(requests, kv_tokens):
    """Return a batch of decoding requests with so many KV tokens each."""
    return Batch(requests, 0, 0, 0, requests, requests * kv_tokens, requests)


def test_kv_bytes_per_token_are_the_papers():
    """H_kv x L x 4 = 131,072 bytes for Llama-3-8B."""
    assert LLAMA.kv_bytes_per_token == 131_072


@pytest.mark.parametrize(("batch", "real_ms"), [(512, 1.317), (768, 1.913), (1024, 2.515)])
def test_profiled_attention_is_near_table_1(batch, real_ms):
    """Attention over 1024-token sequences, per layer, within 8 % of BlendServe's Table 1."""
    costs = step_costs(A100, LLAMA, Sum(), profiled=True)
    _, memory_ns, _ = step_cost(costs, decoding(batch, 1024))
    assert memory_ns / 1e6 / LLAMA.layers == pytest.approx(real_ms, rel=0.08)


@pytest.mark.parametrize(("batch", "real_ms"), [(512, 1.087), (768, 1.537), (1024, 2.005)])
def test_profiled_gemm_is_near_table_1(batch, real_ms):
    """GEMM per layer within 20 %: the table leaves out embedding and head, P does not."""
    costs = step_costs(A100, LLAMA, Sum(), profiled=True)
    compute_ns, _, _ = step_cost(costs, decoding(batch, 0))
    assert compute_ns / 1e6 / LLAMA.layers == pytest.approx(real_ms, rel=0.2)


@given(st.integers(1, 20_000), COUNTS, COUNTS)
@settings(deadline=None)
def test_parts_add_up_and_order(tokens, pairs, kv_tokens):
    """`max` <= partial <= `sum`; all whole and positive."""
    steps = []
    for overlap in (Max(), Partial(0.5), Sum()):
        compute, memory, step = step_cost(
            step_costs(A100, LLAMA, overlap, max_tokens=tokens),
            Batch(tokens, tokens, 1, pairs, 0, kv_tokens, 0),
        )
        assert abs(step - max(compute, memory)) <= min(compute, memory) + 2
        steps.append(step)
    assert 1 <= steps[0] <= steps[1] <= steps[2]


def test_small_batches_are_bound_by_the_weights():
    """One token costs the read of all weights."""
    compute_ns, _, _ = step_cost(step_costs(A100, LLAMA, Sum()), decoding(1, 0))
    assert compute_ns == pytest.approx(1e9 * LLAMA.weight_bytes / A100.bandwidth_bytes_s)


def test_tables_are_keyed_by_name_and_plausible():
    """Every entry is found under its own name and has positive rates."""
    assert all(gpu_named(name).name == name for name in GPUS)
    assert all(model_named(name).name == name for name in MODELS)
    for entry in [*GPUS.values(), *MODELS.values()]:
        numbers = [v for v in dataclasses.astuple(entry) if type(v) in (int, float)]
        assert min(numbers) > 0


def test_unknown_names_offer_the_nearest():
    """A slip of the pen is answered with the right name."""
    with pytest.raises(UnknownNameError, match="a100-80"):
        gpu_named("a100-8")
    with pytest.raises(UnknownNameError, match="llama-3-8b"):
        model_named("llama-3-9b")
    with pytest.raises(ValueError, match="no profiled rates"):
        step_costs(gpu_named("t4"), LLAMA, Sum(), profiled=True)
