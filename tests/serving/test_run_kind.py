"""The run kind `serving-order` through its public contract."""

import math

import pytest
from pydantic import ValidationError

from experiments.kinds.base import KINDS
from policies.ordering.base import ORDERS

KIND = KINDS.get("serving-order")
SMALL = {
    "workload": {"kind": "mix", "density": 1.2, "sharing": 0.3, "requests": 1500},
    "memory": {"kv_bytes": 2_000_000_000},
}


def run(policy, seed=0, **changes):
    """Validate, resolve and run a configuration."""
    config = KIND.resolve(KIND.Config.model_validate(SMALL | changes).model_dump())
    return KIND.run({**config, "policy": policy, "seed": seed})


@pytest.mark.parametrize("policy", ORDERS.names())
def test_every_order_gives_every_metric(policy):
    """The metrics are those declared, finite, and shares lie in [0, 1]."""
    outcome = run(policy)
    metrics = outcome.metrics
    assert set(metrics) == set(KIND.metrics)
    assert all(math.isfinite(value) for value in metrics.values())
    assert 0 < metrics["share_of_ideal_optimum"] <= metrics["share_of_practical_optimum"] <= 1
    assert 0 <= metrics["sharing_kept"] <= 1
    assert metrics["requests_done"] == 1500
    columns = outcome.tables["use_over_time"]
    assert len({len(values) for values in columns.values()}) == 1
    assert columns["end_s"][-1] == pytest.approx(metrics["makespan_s"])


def test_runs_repeat_and_policies_meet_the_same_pool():
    """Equal seeds give equal metrics; the pool's metrics do not depend on policy or GPU."""
    assert run("shuffled").metrics == run("shuffled").metrics
    pool_metrics = ("max_sharing", "max_sharing_compute", "requests_done")
    first, second = run("arrival").metrics, run("blendserve", gpu="h100").metrics
    assert [first[name] for name in pool_metrics] == [second[name] for name in pool_metrics]
    assert run("arrival", seed=1).metrics["max_sharing"] != first["max_sharing"]


def test_an_absent_trace_is_replaced_and_told(tmp_path, monkeypatch):
    """Resolution names the stand-in; the notes say that and where the trace is."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    workload = {"kind": "trace", "name": "mooncake-conversation", "requests": 300}
    config = KIND.resolve(KIND.Config.model_validate({"workload": workload}).model_dump())
    assert config["workload"]["kind"] == "standin"
    outcome = KIND.run({**config, "policy": "prefix_dfs", "seed": 0})
    assert "generated" in outcome.notes[0]
    assert "absent" in outcome.notes[1]
    sharegpt = {"workload": {"kind": "trace", "name": "sharegpt-300"}}
    with pytest.raises(ValueError, match="absent"):
        KIND.resolve(KIND.Config.model_validate(sharegpt).model_dump())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workload": {"kind": "trace", "name": "mooncake"}}, "unknown trace"),
        ({"workload": {"kind": "tracce", "name": "x"}}, "tag"),
        ({"gpu": "a100"}, "did you mean 'v100'.*a100-80"),
        ({"model": "llama-3-80b"}, "unknown model"),
        ({"rates": "profiled", "gpu": "t4"}, "no profiled rates"),
        ({"memory": {}}, "exactly one"),
        ({"memory": {"kv_fraction": 0.9}}, "exceed 80 GB"),
        ({"overlap": {"kind": "partial"}}, "Field required"),
        ({"overlap": {"kind": "sum", "h": 0.5}}, "Extra inputs"),
        ({"kv_reserve": 1.5}, "less than or equal"),
        ({"max_seqs": "256"}, "valid integer"),
    ],
)
def test_bad_configurations_are_refused(changes, message):
    """Every slip has its own message."""
    with pytest.raises(ValidationError, match=message):
        KIND.Config.model_validate(SMALL | changes)


@pytest.mark.parametrize("policy", ["prefix_dfs", "blendserve"])
def test_replicas_share_the_pool(policy):
    """Two ranks: the same requests and sharing to save, less time, shares within [0, 1]."""
    one, two = (run(policy, ranks=ranks).metrics for ranks in (1, 2))
    same = ("requests_done", "max_sharing", "density", "sampled_requests", "kv_blocks")
    assert [one[name] for name in same] == [two[name] for name in same]
    assert one["makespan_s"] / 2 < two["makespan_s"] < one["makespan_s"]
    assert two["ideal_compute_s"] == pytest.approx(one["ideal_compute_s"] / 2)
    assert two["throughput_tokens_s"] == pytest.approx(2 * two["throughput_per_gpu_tokens_s"])
    assert one["replica_use"] == 1 > two["replica_use"] > 0.5
    assert 0 < two["share_of_ideal_optimum"] <= two["share_of_practical_optimum"] <= 1
    assert 0 < two["compute_busy_share"] <= 1


def test_disaggregated_replicas_run_a_one_ended_order():
    """Every metric is there; the tables say how busy each instance was; two ends are refused."""
    split = {"disaggregated": {"prefill": 1, "decode": 2}, "kv_reserve": 0.0}
    outcome = run("prefix_dfs", **split)
    assert set(outcome.metrics) == set(KIND.metrics)
    assert outcome.metrics["requests_done"] == 1500
    assert outcome.tables["instances"]["decodes"] == [0.0, 1.0, 1.0]
    assert all(0 < share <= 1 for share in outcome.tables["instances"]["busy_share"])
    ends = outcome.tables["use_over_time"]["end_s"]
    assert 0 < ends[-1] <= outcome.metrics["makespan_s"] * (1 + 1e-9)
    with pytest.raises(ValueError, match="one-ended"):
        run("blendserve", **split, estimate={"kind": "mean"})


def test_values_of_one_byte_leave_room_for_twice_the_kv():
    """FP8 halves what a KV token takes."""
    full, half = (run("arrival", value_bytes=n).metrics["kv_blocks"] for n in (2, 1))
    assert half == pytest.approx(2 * full, abs=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kv_reserve": "peak"}, "set kv_reserve: 0.0"),
        ({"kv_reserve": 0.0, "ranks": 2, "rules": "sglang"}, "set rules: vllm, ranks: 1"),
        ({"kv_reserve": 0.0, "gpus": 2}, "set gpus: 1"),
    ],
)
def test_disaggregation_says_what_it_does_not_combine_with(changes, message):
    """The engine has rules of its own."""
    split = {"disaggregated": {"prefill": 1, "decode": 1}}
    with pytest.raises(ValidationError, match=message):
        KIND.Config.model_validate(SMALL | split | changes)
