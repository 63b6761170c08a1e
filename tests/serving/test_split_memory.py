"""The run kind `serving-split-memory`: BlendServe's Fig. 6, worked."""

import numpy as np
import pytest
from pydantic import ValidationError

from experiments.catalog import entries
from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.paths import ROOT
from serving.density import ratio
from tests.serving.pools import RESOURCES

KIND = KINDS.get("serving-split-memory")
MANIFEST = ROOT / "experiments/manifests/blendserve/fig06.yaml"


def metrics(**changes):
    """Return the metrics of the manifest's configuration with changes."""
    base = load_manifest(MANIFEST).base | changes
    config = KIND.resolve(KIND.Config.model_validate(base).model_dump())
    return KIND.run({**config, "policy": None, "seed": 0}).metrics


def test_the_printed_memories_are_within_the_rounding_of_the_printed_densities():
    """19.3 and 40.7 GB lie in the interval; it is the one worked out by hand."""
    found = metrics()
    assert set(found) == set(KIND.metrics)
    assert found["left_gb"] + found["right_gb"] == pytest.approx(60)
    assert found["left_gb"] == pytest.approx(60 * (1.27 - 0.096) / (3.73 - 0.096))
    assert found["left_lowest_gb"] == pytest.approx(60 * (1.265 - 0.0965) / (3.735 - 0.0965))
    assert found["left_highest_gb"] == pytest.approx(60 * (1.275 - 0.0955) / (3.725 - 0.0955))
    assert 19.26 < found["left_lowest_gb"] <= 19.3 <= found["left_highest_gb"] < 19.51
    assert found["right_lowest_gb"] <= 40.7 <= found["right_highest_gb"]


def test_the_lengths_have_the_densities():
    """What the manifest assumes of lengths agrees with the densities beside them."""
    base = load_manifest(MANIFEST).base
    for side, tolerance in (("left", 0.005), ("right", 0.005)):
        p, d = base[side]["prompt_tokens"], base[side]["output_tokens"]
        comp, mem = RESOURCES.comp_s(np.array(p + d)), RESOURCES.mem_s(np.array(p), np.array(d))
        assert float(ratio(comp, mem)) == pytest.approx(base[side]["density"], abs=tolerance)


def test_requests_and_budgets_follow():
    """N = M / ((p + d/2) KV), C = N p / d."""
    found = metrics()
    assert found["left_requests"] == pytest.approx(found["left_gb"] * 1e9 / (441.75 * 131_072))
    assert found["right_prefill_tokens"] == pytest.approx(found["right_requests"] * 121 / 16000)


def test_bad_configurations_are_refused():
    """No memory left, and densities below zero."""
    with pytest.raises(ValidationError, match="occupied_gb: 90 GB leave nothing of 80 GB"):
        metrics(occupied_gb=90.0)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        metrics(root_density=-1.0)


def test_it_is_in_the_catalogue():
    """The manifests of the ablations and of the figure are found and valid."""
    found = {entry.id for entry in entries()}
    ablations = {f"blendserve/ablation-{name}" for name in ("sort", "split", "scan", "sampling")}
    assert found >= {"blendserve/fig06", *ablations}
