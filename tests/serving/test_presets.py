"""Orders that stand for a whole system bring its engine; the others leave the manifest's."""

import numpy as np
import pytest

from experiments.kinds.serving_config import ServingConfig
from experiments.kinds.serving_measures import plan, prepare
from experiments.kinds.serving_presets import PRESETS, with_engine_of
from policies.ordering.base import ORDERS

CONFIG = ServingConfig.model_validate(
    {
        "workload": {"kind": "mix", "density": 1.2, "sharing": 0.3, "requests": 500},
        "memory": {"kv_bytes": 2_000_000_000},
        "overlap": {"kind": "max"},
        "kv_reserve": 0.5,
        "max_seqs": 77,
    }
)
SAME_ORDER = {
    "vllm_dfs": "prefix_dfs",
    "sglang_dfs": "prefix_dfs",
    "nanoflow_dfs": "prefix_dfs",
    "nanoflow_balance": "shuffled",
}


@pytest.mark.parametrize("name", ORDERS.names())
def test_only_the_engine_changes(name):
    """A preset replaces its own fields and nothing else; without one nothing changes."""
    order = ORDERS.get(name)
    before, after = CONFIG.model_dump(), with_engine_of(CONFIG, order).model_dump()
    changed = {field for field in before if before[field] != after[field]}
    assert changed <= set(PRESETS.get(getattr(order, "engine", ""), {}))


@pytest.mark.parametrize(("system", "bare"), SAME_ORDER.items())
def test_the_order_is_the_bare_ones(system, bare):
    """Equal pools are put in equal order; only the engine is the system's."""
    case = prepare(CONFIG, 3)
    sequences = [plan(case, ORDERS.get(name)())[2].sequence for name in (system, bare)]
    assert np.array_equal(*sequences)


# paper: blendserve 6.1
def test_the_systems_engines():
    """Sequential operators and their own admission for two, the manifest's overlap for NanoFlow."""
    vllm, sglang, nanoflow = (
        with_engine_of(CONFIG, ORDERS.get(f"{system}_dfs"))
        for system in ("vllm", "sglang", "nanoflow")
    )
    assert vllm.overlap.kind == sglang.overlap.kind == "sum"
    assert (vllm.rules, vllm.kv_reserve, vllm.max_seqs) == ("vllm", 0.0, 256)
    assert (sglang.rules, sglang.estimate.kind) == ("sglang", "oracle")
    assert (nanoflow.rules, nanoflow.kv_reserve) == ("vllm", "peak")
    assert nanoflow.token_quantum == CONFIG.token_quantum
    assert (nanoflow.overlap.kind, nanoflow.max_seqs) == ("max", 77)
