"""From rows to fronts: every method gives rules that were measured on links held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.congestion.rule_inputs import EMPTY, HIGH, INPUTS, LOW, WIDTH
from policies.distill.distil_config import DistilConfig
from policies.distill.fitting import METHODS, fit, settings_of
from policies.distill.fronts import as_rule
from policies.distill.operon import OperonSettings
from policies.distill.rollouts import Rollouts
from policies.rules.count import worst_path
from policies.rules.syntax import Variable, walk
from tests.distill.small_distil import small

LINKS, ROWS = 12, 30
TOLD = ("loss", "loss_slow", "throughput_ratio")


def made_up(seed: int = 0, links: int = LINKS) -> Rollouts:
    """Return rows in which three inputs vary and the action is a sum of two of them."""
    rng = np.random.default_rng(seed)
    table = np.tile(np.array(EMPTY, np.float32), (links * ROWS, 1))
    places = [list(INPUTS).index(name) for name in TOLD]
    table[:, places] = rng.uniform(0.0, 1.0, (links * ROWS, len(places)))
    labels = 0.5 * table[:, places[2]] - 0.25 * table[:, places[0]]
    conditions = {"bandwidth_bps": np.ones(links)}
    return Rollouts(
        table,
        labels,
        np.repeat(np.arange(links), ROWS).astype(np.int32),
        np.tile(np.arange(ROWS), links).astype(np.int32),
        conditions,
        np.ones(links),
    )


def config_of(method: str, **changes: Any) -> DistilConfig:
    quick = OperonSettings(population=50, generations=5, evaluations=500)
    return small(method=method, operon=quick, quick_operon=quick, **changes)


# paper: symbolicpcc distillation
@pytest.mark.parametrize("method", ["linear", "tree", "operon"])
def test_a_front_is_rules_that_imitate(method: str) -> None:
    rows = made_up()
    front = fit(rows, config_of(method), 0, 0)
    assert len(front) >= 1
    spread = float(np.var(rows.labels))
    assert min(one.error for one in front) < 0.3 * spread
    for one in front:
        assert as_rule("again", one.expression).body == one.expression
        assert one.operations == worst_path(one.expression)
    errors, costs = [one.error for one in front], [one.operations for one in front]
    assert errors == sorted(errors, reverse=True)
    assert costs == sorted(set(costs))


def test_a_sum_is_found_again() -> None:
    best = fit(made_up(), config_of("linear", terms=(1, 2, 4)), 0, 0)[-1]
    assert best.error < 1e-6
    used = {node.name for node in walk(best.expression) if isinstance(node, Variable)}
    assert used == {"loss", "throughput_ratio"}


@pytest.mark.parametrize("method", ["linear", "tree", "operon"])
def test_only_the_named_inputs_are_used(method: str) -> None:
    front = fit(made_up(), config_of(method, inputs=("loss", "loss_slow")), 0, 0)
    for one in front:
        used = {node.name for node in walk(one.expression) if isinstance(node, Variable)}
        assert used <= {"loss", "loss_slow"}


@pytest.mark.parametrize("method", ["linear", "tree", "operon"])
def test_the_same_seed_gives_the_same_front(method: str) -> None:
    config = config_of(method, rows=100)
    one, two = (fit(made_up(), config, 0, 0) for _ in range(2))
    assert one == two
    for other in (fit(made_up(), config, 1, 0), fit(made_up(), config, 0, 1)):
        assert other != one  # other rows are drawn, and held out


def test_rows_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setitem(METHODS, "linear", lambda task: seen.append(task.given) or [])
    fit(made_up(), config_of("linear", rows=77), 0, 0)
    fit(made_up(), config_of("linear", rows=10_000), 0, 0)
    assert [len(given.actions) for given in seen] == [77, LINKS * ROWS]
    assert seen[0].names == config_of("linear").inputs


def test_the_last_round_has_settings_of_its_own() -> None:
    config = small(rounds=2, method="operon", operon=OperonSettings(evaluations=5000))
    assert settings_of(config, 2)["evaluations"] == 5000
    assert settings_of(config, 1)["evaluations"] != 5000
    assert settings_of(small(), 0) == [1, 2, 4]


@pytest.mark.parametrize("method", ["linear", "tree"])
def test_too_little_is_one_message_that_names_the_context(method: str) -> None:
    for rows in (made_up(links=1), made_up().of_links(np.zeros(LINKS, bool))):
        with pytest.raises(ValueError, match="context 3, round 1: ") as caught:
            fit(rows, config_of(method), 1, 3)
        assert "\n" not in str(caught.value)


def test_the_table_is_as_wide_as_the_rows() -> None:
    assert made_up().inputs.shape == (LINKS * ROWS, WIDTH)
    assert (made_up().inputs >= np.array(LOW, np.float32)).all()
    assert (made_up().inputs <= np.array(HIGH, np.float32)).all()
