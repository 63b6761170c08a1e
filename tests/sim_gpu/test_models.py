"""Model shapes against counts from their published configurations; attention variants; network."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.density import ResourceModel
from sim.gpu.hardware import GPUS, gpu_named
from sim.gpu.models import MODELS, model_named
from sim.gpu.network import network_token_ns
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import Batch, step_cost, step_costs

A100 = gpu_named("a100-80")
# name -> layers, hidden, heads, KV heads, intermediate, vocabulary, biases of Q, K and V
PUBLISHED = {
    "llama-3-8b": (32, 4096, 32, 8, 14336, 128256, False),
    "llama-3-70b": (80, 8192, 64, 8, 28672, 128256, False),
    "llama-2-7b": (32, 4096, 32, 32, 11008, 32000, False),
    "llama-2-70b": (80, 8192, 64, 8, 28672, 32000, False),
    "qwen-2.5-7b": (28, 3584, 28, 4, 18944, 152064, True),
    "qwen-2.5-72b": (80, 8192, 64, 8, 29568, 152064, True),
    "deepseek-67b": (95, 8192, 64, 8, 22016, 102400, False),
}


def counted(layers, hidden, heads, kv_heads, intermediate, vocabulary, biases):
    """Return the weights of a Llama-like decoder: attention, gated MLP, norms, embeddings."""
    kv = hidden // heads * kv_heads
    attention = 2 * hidden * hidden + 2 * hidden * kv + biases * (hidden + 2 * kv)
    layer = attention + 3 * hidden * intermediate + 2 * hidden
    return layers * layer + 2 * vocabulary * hidden + hidden


@pytest.mark.parametrize("name", PUBLISHED)
def test_shapes_follow_the_published_configurations(name):
    """Weights to three digits, KV features and heads exactly."""
    model, published = model_named(name), PUBLISHED[name]
    layers, hidden, heads, kv_heads = published[:4]
    assert (model.layers, model.hidden, model.kv_heads) == (layers, hidden, kv_heads)
    assert model.kv_features == hidden // heads * kv_heads
    assert model.parameters == pytest.approx(counted(*published), rel=2e-3)


def test_deepseek_v2_lite_is_counted_from_its_configuration():
    """Experts: 64 routed of 1408, 6 of them and 2 shared ones met; embeddings are looked up."""
    hidden, heads, expert, vocabulary = 2048, 16, 3 * 2048 * 1408, 102400
    attention = hidden * heads * 192 + hidden * 576 + 512 * heads * 256 + heads * 128 * hidden
    dense = attention + 3 * hidden * 10944
    total = 26 * (attention + 64 * hidden + 66 * expert) + dense + 2 * vocabulary * hidden
    active = 26 * (attention + 64 * hidden + 8 * expert) + dense + vocabulary * hidden
    model = model_named("deepseek-v2-lite")
    assert model.parameters == pytest.approx(total, rel=2e-3)
    assert model.active_parameters == pytest.approx(active, rel=0.03)
    assert model.kv_bytes_per_token == 27 * (512 + 64) * 2
    assert model.flops_per_pair == 27 * 2 * heads * (192 + 128)


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [("llama-3-8b", 131_072), ("llama-2-7b", 524_288), ("qwen-2.5-7b", 57_344)],
)
def test_kv_bytes_by_hand(name, kv_bytes):
    """GQA, MHA and a narrow GQA; half of it in FP8, weights likewise."""
    model = model_named(name)
    assert model.kv_bytes_per_token == kv_bytes
    half = model.with_value_bytes(1)
    assert (half.kv_bytes_per_token, half.weight_bytes) == (kv_bytes / 2, model.weight_bytes / 2)


def test_optimal_throughput_of_nanoflow():
    """Compute / 2P: 1857 tokens/s and GPU for 70e9 weights, which means 260 TFLOPS, not 280."""
    model = dataclasses.replace(model_named("llama-2-70b"), parameters=70e9)
    eight = ResourceModel.of(dataclasses.replace(A100, flops=260e12), model, gpus=8)
    assert 1 / eight.compute_s_per_token / 8 == pytest.approx(1857, abs=0.5)


def test_network_time_of_nanoflow():
    """Its Table 2 estimates 31.33 ms for Llama-2-70B, 2048 tokens, 8 A100; the formula 31.32."""
    per_token = network_token_ns(A100, model_named("llama-2-70b"), 8)
    assert 2048 * per_token / 1e6 == pytest.approx(31.33, rel=1e-3)


@given(st.sampled_from(sorted(MODELS)), st.sampled_from(sorted(GPUS)), st.integers(1, 16))
def test_network_is_a_ring_of_two_all_reduces(model, gpu, gpus):
    """Nothing for one GPU; below two values there and two back per layer, however many."""
    shape, card = model_named(model), gpu_named(gpu)
    found = network_token_ns(card, shape, gpus)
    bound = 4e9 * shape.hidden * shape.layers * shape.value_bytes / card.link_bytes_s
    assert found == 0 if gpus == 1 else 0.5 * bound <= found * (1 + 1e-9)
    assert found <= bound


def test_communication_adds_to_a_step_and_overlap_can_hide_it():
    """Without overlap a step grows by exactly T_net."""
    model, batch = model_named("llama-3-70b"), Batch(1024, 0, 0, 0, 1024, 10**6, 0)
    costs = step_costs(A100, model, Sum(), gpus=8)
    compute, memory, step = step_cost(costs, batch)
    network = 1024 * network_token_ns(A100, model, 8)
    assert step == pytest.approx(compute + memory + network, abs=2)


def test_a_kv_head_is_not_divided():
    """8 heads on 8 GPUs are stored once, 4 heads twice, MLA's vector eight times."""
    names = ("llama-3-8b", "qwen-2.5-7b", "deepseek-v2-lite")
    assert [model_named(name).kv_copies(8) for name in names] == [1, 2, 8]
    assert all(model_named(name).kv_copies(1) == 1 for name in MODELS)
    lite = model_named("deepseek-v2-lite")
    one, eight = (ResourceModel.of(A100, lite, gpus=gpus) for gpus in (1, 8))
    assert one.memory_s_per_kv_token == pytest.approx(eight.memory_s_per_kv_token)


def test_experts_compute_with_few_weights_and_read_all():
    """A large batch costs the active weights' arithmetic, a small one the read of all."""
    lite = model_named("deepseek-v2-lite")
    costs = step_costs(A100, lite, Sum(), max_tokens=20_000)
    assert costs.dense_ns[1] == pytest.approx(1e9 * 2 * 15.7e9 / A100.bandwidth_bytes_s)
    assert costs.dense_ns[20_000] == pytest.approx(1e9 * 2 * 2.4e9 * 20_000 / A100.flops)
