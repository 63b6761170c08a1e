"""The small engine: schedules, pages, nano-batches, and logits equal to plain full attention."""

from __future__ import annotations

import itertools
import json
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import OneEnded
from serving.engine.config import EngineConfig
from serving.engine.run import simulate
from serving.estimates import oracle
from serving.overlap.on_gpu import engine as command
from serving.overlap.on_gpu.decoder import MODES, Decoder
from serving.overlap.on_gpu.engine import parts_of, simulated_ms, units
from serving.overlap.on_gpu.pages import Pages
from serving.overlap.on_gpu.parts import PartMaker, halves, token
from serving.overlap.on_gpu.schedule import Step, read_schedule
from serving.overlap.on_gpu.shapes import MODELS, Model, model_of
from serving.overlap.schedules import PoolShape, pool_of, scheduled, write_schedule
from serving.overlap.schedules import main as write_schedules
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import step_costs
from tests.needs import need
from tests.serving.pools import random_workload

COSTS = step_costs(gpu_named("h100"), model_named("llama-3-8b"), Sum(), max_tokens=64)
TINY = Model(32, 4, 2, 8, 48, 3, 97)


def _engine(seed, blocks=14, requests=12, tokens=12):
    """Return a random workload with preemptions, chunks and hits, and what the engine did."""
    workload = random_workload(np.random.default_rng(seed), requests, 4)
    config = EngineConfig(COSTS, blocks, tokens, 6)
    plan = OneEnded(np.arange(requests))
    return workload, scheduled(workload, oracle(workload), plan, config), plan, config


def _schedule(folder, seed, **sizes):
    workload, engine, *_ = _engine(seed, **sizes)
    write_schedule(folder / "x.jsonl", workload, engine, "fcfs")
    return read_schedule(folder / "x.jsonl")


@pytest.mark.parametrize("seed", range(4))
def test_a_schedule_is_what_the_compiled_engine_did(tmp_path, seed):
    """Steps, computed tokens, times; and every request ends with all its tokens."""
    workload, engine, plan, config = _engine(seed)
    write_schedule(tmp_path / "s.jsonl", workload, engine, "fcfs")
    found = read_schedule(tmp_path / "s.jsonl")
    totals = simulate(workload, oracle(workload), plan, config).totals
    assert len(found.steps) == totals.steps
    assert sum(step.tokens for step in found.steps) == totals.scheduled_tokens
    assert sum(step.compute_ns for step in found.steps) == totals.compute_ns
    assert sum(step.memory_ns for step in found.steps) == totals.memory_ns
    told = simulated_ms(found.steps, 0, len(found.steps))
    assert told["sum"] == pytest.approx(totals.makespan_ns / 1e6, rel=1e-6)
    assert told["half"] == pytest.approx((told["sum"] + told["max"]) / 2)
    assert found.tokens == workload.pool.prompt_tokens.sum() + workload.output_tokens.sum()
    assert totals.preemptions == sum(len(s.left) for s in found.steps) - len(
        {r for s in found.steps[:-1] for r in _ended(found, s)}
    )


def _ended(schedule, step):
    """Return requests whose last token but one is computed in the step: none comes after it."""
    reach = {r: before + tokens for r, tokens, before in step.prefill} | dict(step.decode)
    done = (schedule.requests[r].prompt + schedule.requests[r].output - 1 for r in reach)
    return [r for r, end in zip(reach, done, strict=True) if reach[r] == end]


def _reference(torch, decoder, ids):
    """Return float64[n, vocabulary] of a whole sequence: plain attention, no cache."""
    m, n = decoder.model, len(ids)
    x = decoder.embedding[torch.tensor(ids)]
    angles = torch.arange(n, dtype=torch.float64)[:, None, None] * decoder.frequencies

    def normed(y):
        return y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-5)

    def rotated(y):
        a, b = y[..., : m.head // 2], y[..., m.head // 2 :]
        return torch.cat(
            (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1
        )

    for qkv, output, gate_up, down in decoder.weights:
        mixed = normed(x) @ qkv
        q = rotated(mixed[:, : m.heads * m.head].view(n, m.heads, m.head))
        k, v = mixed[:, m.heads * m.head :].view(n, 2, m.kv_heads, m.head).unbind(1)
        k, v = (y.repeat_interleave(m.group, 1) for y in (rotated(k), v))
        scores = torch.einsum("ihd,jhd->hij", q, k) / m.head**0.5
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf"))
        x = x + torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).reshape(n, -1) @ output
        gate, up = (normed(x) @ gate_up).chunk(2, -1)
        x = x + (gate * torch.sigmoid(gate) * up) @ down
    return normed(x) @ decoder.head


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 3])
def test_logits_are_those_of_plain_full_attention(tmp_path, mode, seed):
    """Chunked prefill, shared prefixes, preemption and nano-batches change nothing."""
    need("torch")
    import torch

    schedule = _schedule(tmp_path, seed)
    assert sum(len(s.left) for s in schedule.steps) > len(schedule.requests) - 1
    pages = Pages(schedule, 400)
    decoder = Decoder(torch, TINY, 400, 4, "cpu", torch.float64, "gather")
    maker = PartMaker(torch, pages, TINY.vocabulary, "cpu")
    truth = {}
    for index, request in enumerate(schedule.requests):
        known = range(request.prompt + request.output)
        ids = [token(request, index, place, 4, TINY.vocabulary) for place in known]
        truth[index] = _reference(torch, decoder, ids)
    compared = 0
    with torch.inference_mode():
        for step in schedule.steps:
            pages.begin(step)
            parts = parts_of(step, maker, mode)
            for part, logits in zip(parts, decoder.step(parts, mode == "overlapped"), strict=True):
                for (request, known), row in zip(part.whose, logits, strict=True):
                    assert torch.allclose(row, truth[request][known - 1], rtol=0, atol=1e-9)
                    compared += 1
    assert pages.stale == 0
    assert compared >= sum(request.output for request in schedule.requests)


def test_in_bfloat16_logits_are_near(tmp_path):
    """The type that a GPU computes in: within a few per cent of the largest logit."""
    need("torch")
    import torch

    schedule = _schedule(tmp_path, 1)
    pages = Pages(schedule, 400)
    decoder = Decoder(torch, TINY, 400, 4, "cpu", torch.bfloat16, "gather")
    wide = types.SimpleNamespace(model=TINY, frequencies=decoder.frequencies)
    wide.weights = [[weight.double() for weight in layer] for layer in decoder.weights]
    wide.embedding, wide.head = decoder.embedding.double(), decoder.head.double()
    maker = PartMaker(torch, pages, TINY.vocabulary, "cpu")
    errors = []
    for step in schedule.steps:
        pages.begin(step)
        parts = parts_of(step, maker, "overlapped")
        for part, logits in zip(parts, decoder.step(parts, True), strict=True):
            for (index, known), row in zip(part.whose, logits, strict=True):
                request = schedule.requests[index]
                ids = [token(request, index, i, 4, TINY.vocabulary) for i in range(known)]
                true = _reference(torch, wide, ids)[-1]
                errors.append(float((row.double() - true).abs().max() / true.abs().max()))
    assert np.median(errors) < 0.03
    assert max(errors) < 0.2


@pytest.mark.parametrize("seed", range(6))
def test_pages_never_run_out_nor_serve_two(tmp_path, seed):
    """With no more pages than the simulated cache has blocks, own pages belong to one request."""
    schedule = _schedule(tmp_path, seed, blocks=11)
    pages = Pages(schedule, 11)
    for step in schedule.steps:
        pages.begin(step)
        used = list(pages.page_of.values())
        assert len(set(used)) == len(used)
        assert len(used) + len(pages.free) == 11
        for request, table in pages.tables.items():
            assert len(set(table)) == len(table)
            own = [p for place, p in enumerate(table) if (request, place) in pages.page_of]
            others = {p for r, t in pages.tables.items() if r != request for p in t}
            assert not others & set(own)
    with pytest.raises(ValueError, match="10 pages are fewer than the schedule's 11"):
        Pages(schedule, 10)


@st.composite
def steps(draw):
    """Strategy: a step with chunks and decodes of different requests."""
    chunks = draw(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 50)), max_size=6))
    contexts = draw(st.lists(st.integers(2, 5000), min_size=0 if chunks else 1, max_size=40))
    prefill = tuple((r, *chunk) for r, chunk in enumerate(chunks))
    decode = tuple((100 + r, context) for r, context in enumerate(contexts))
    return Step(prefill, decode, (), 1, 1)


@settings(deadline=None)
@given(steps())
def test_nano_batches_hold_the_batch_once_and_are_alike(step):
    parts = halves(step)
    assert 1 <= len(parts) <= 2
    got = sorted(d for _, decodes in parts for d in decodes)
    assert got == sorted(step.decode)
    pieces = [chunk for chunks, _ in parts for chunk in chunks]
    for request, tokens, before in step.prefill:
        own = [p for p in pieces if p[0] == request]
        assert own[0][2] == before
        assert sum(p[1] for p in own) == tokens
        assert all(a[2] + a[1] == b[2] for a, b in itertools.pairwise(own))
    assert [p[0] for p in pieces] == sorted(p[0] for p in pieces)  # a reader never comes first
    sizes = [sum(c[1] for c in chunks) + len(decodes) for chunks, decodes in parts]
    read = [sum(c for _, c in decodes) for _, decodes in parts]
    assert len(parts) == 1 or abs(read[0] - read[1]) <= max(c for _, c in (*step.decode, (0, 0)))
    if step.prefill and len(parts) == 2:
        assert abs(sizes[0] - sizes[1]) <= 1


def test_orders_and_ways_take_turns():
    """Every step of every order is timed in each way once a repeat; neighbours differ."""
    found = list(units({"a": 100, "b": 70}, MODES, 3, 32))
    assert len(found) == len(set(found)) == 3 * 3 * (4 + 3)
    firsts = [unit.first for unit in found if unit.repeat == 1]
    assert firsts == sorted(firsts)
    assert {(u.order, u.mode) for u in found[:6]} == {(o, m) for o in "ab" for m in MODES}
    assert found[0].mode != next(u for u in found if u.repeat == 1).mode


@pytest.fixture
def schedules(tmp_path):
    words = ("--requests", "10", "--kv-tokens", "2048", "--max-batched-tokens", "256")
    words += ("--prefix-tokens", "32", "--orders", "prefix_dfs", "blendserve")
    assert write_schedules(["--out", str(tmp_path / "s"), *words, "--long-share", "0"]) == 0
    return [str(tmp_path / "s" / f"{name}.jsonl") for name in ("prefix_dfs", "blendserve")]


def test_a_dry_run_goes_on_where_it_was(schedules, tmp_path, capsys):
    """Stopped, killed in a line, started again: every unit once, each with its steps' times."""
    need("torch")
    out = tmp_path / "e.jsonl"
    words = ["--schedules", *schedules, "--dry-run", "--repeats", "1", "--out", str(out)]
    assert command.main([*words, "--seconds", "1e-9"]) == 3
    assert "the same command goes on" in capsys.readouterr().out
    assert command.main([*words, "--segment", "64"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    wanted = list(units({r["order"]: r["steps"] for r in rows}, MODES, 1, 64))
    assert len(rows) == len(wanted)
    for order in ("prefix_dfs", "blendserve"):
        of_one = [r for r in rows if r["order"] == order and r["mode"] == "split"]
        assert sum(len(r["step_ms"]) for r in of_one) == of_one[0]["steps"]
        assert all(ms > 0 for r in of_one for ms in r["step_ms"])
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    assert command.main(words) == 0
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert again[:-1] == rows[:-1]
    assert again[-1]["mode"] == rows[-1]["mode"]
    assert command.main([*words, "--segment", "8"]) == 2
    assert "segment = 64, now it is 8" in capsys.readouterr().err


def test_without_cuda_it_is_one_line(schedules, capsys):
    need("torch")
    import torch

    if torch.cuda.is_available():
        return
    assert command.main(["--schedules", *schedules]) == 2
    assert "CUDA is not here" in capsys.readouterr().err
    assert command.main(["--schedules", *schedules, "--plan"]) == 0
    assert "blendserve" in capsys.readouterr().out


def _step(**changes):
    plain = {"prefill": [], "decode": [], "left": [], "compute_ns": 1, "memory_ns": 0}
    return json.dumps(plain | changes)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "{}", "no triptych-schedule 1"),
        (0, "[]", "line 1: no JSON object"),
        (1, '{"prompt": 3}', "line 2: damaged"),
        (1, '{"prompt": 64, "output": 1, "blocks": []}', "request 0: 64 tokens, wrong blocks"),
        (-1, _step(decode=[[0, 5], [0, 6]]), "each once"),
        (-1, _step(prefill=[[0, 0, 0]]), "at least one"),
        (-1, _step(prefill=[[999, 1, 0]]), "known"),
        (-1, _step(decode=[[0, 1]]), "two tokens"),
    ],
)
def test_damaged_schedules_are_refused(schedules, tmp_path, line, text, message):
    lines = Path(schedules[0]).read_text(encoding="utf-8").splitlines()
    lines[line] = text
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_schedule(path)


def test_models_come_by_name_or_configuration(tmp_path):
    assert model_of("llama-3-8b", 4).layers == 4
    path = tmp_path / "config.json"
    told = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    told |= {"intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 512}
    path.write_text(json.dumps(told))
    assert model_of(str(path)) == MODELS["tiny"]
    for change in ({"vocab_size": None}, {"num_key_value_heads": 3}, {"hidden_size": 0}):
        path.write_text(json.dumps(told | change))
        with pytest.raises(ValueError, match=r"config\.json"):
            model_of(str(path))
    with pytest.raises(ValueError, match="no file, and none of llama-3-8b"):
        model_of("llama-9")
    with pytest.raises(ValueError, match="--layers must be at least 1"):
        model_of("tiny", 0)


def test_pools_have_two_kinds_of_requests():
    """Behind one prefix all outputs are long or all are short."""
    workload = pool_of(PoolShape(200, 8, 32), 16, np.random.default_rng(1))
    pool = workload.pool
    first = pool.block_ids[pool.block_offsets[:-1]]
    long = workload.output_tokens >= 200
    assert 0.2 < long.mean() < 0.8
    for head in np.unique(first):
        assert len(set(long[first == head])) == 1
    with pytest.raises(ValueError, match="--long-share must lie"):
        PoolShape(long_share=1.5)


@pytest.mark.gpu
def test_triton_reads_the_paged_cache_right():
    need("gpu")
    need("torch")
    import torch

    from serving.overlap.on_gpu.attention import check_decode

    assert check_decode(torch, "triton", "cuda", torch.bfloat16) < 3e-2
