"""Every registered search keeps the laws; what each promises besides."""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
import pytest

from policies.search.base import SEARCHES, Budget
from policies.search.exhaustive import Exhaustive
from policies.search.metaschedule import MetaSchedule
from policies.search.model_pruned import ModelPruned
from policies.search.random_search import RandomSearch
from tests.tuning.fakes import OPERATOR, FakeSpace
from tests.tuning.search_conformance import Bench, SearchConformance
from tuning.space import Space


class TestExhaustive(SearchConformance):
    search = "exhaustive"


class TestExhaustiveInSmallBatches(SearchConformance):
    search = "exhaustive"
    parameters: ClassVar = {"batch": 3}


class TestRandom(SearchConformance):
    search = "random"


class TestRandomOneByOne(SearchConformance):
    search = RandomSearch
    parameters: ClassVar = {"batch": 1}


# paper: bolt 3.2.2
class TestHardwareNative(SearchConformance):
    search = "hardware_native"


class TestModelPruned(SearchConformance):
    search = "model_pruned"


class TestModelPrunedToOne(SearchConformance):
    search = ModelPruned
    parameters: ClassVar = {"k": 1}


LAWFUL = (TestExhaustive, TestRandom, TestHardwareNative, TestModelPruned)


def numbers(bench: Bench) -> list[int]:
    return [int(answer.candidate.params["number"]) for answer in bench.answers]


def test_every_search_over_templates_is_under_the_laws():
    named = {case.search for case in LAWFUL}
    assert named == {n for n in SEARCHES.names() if SEARCHES.get(n).engine == "templates"}


def test_exhaustive_measures_all():
    bench = Bench({}, 1000)
    space = cast(Space, FakeSpace())
    Exhaustive().search(OPERATOR, space, bench, Budget(1000, 1.0), np.random.default_rng(0))
    assert numbers(bench) != list(range(40))  # a budget that ends sooner is a fair sample
    assert sorted(numbers(bench)) == list(range(40))


def test_random_draws_differ_by_seed_and_cover_the_space():
    drawn = []
    for seed in (0, 1):
        bench = Bench({}, 1000)
        space = cast(Space, FakeSpace())
        RandomSearch().search(
            OPERATOR, space, bench, Budget(1000, 1.0), np.random.default_rng(seed)
        )
        drawn.append(numbers(bench))
    assert drawn[0] != drawn[1]
    assert sorted(drawn[0]) == sorted(drawn[1]) == list(range(40))


def test_pruning_keeps_what_the_model_takes_for_fastest():
    bench = Bench({}, 1000)
    space = cast(Space, FakeSpace(40, {31: -3.0, 5: -2.0, 12: -1.0}))
    ModelPruned(4).search(OPERATOR, space, bench, Budget(1000, 1.0), np.random.default_rng(0))
    assert numbers(bench) == [31, 5, 12, 0]


def test_numbers_out_of_range_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^k: "):
        ModelPruned(0)
    for search in (Exhaustive, RandomSearch):
        with pytest.raises(ValueError, match=r"^batch: "):
            search(0)
    with pytest.raises(ValueError, match=r"^trials: "):
        Budget(0, 1.0)
    for seconds in (0.0, float("nan")):
        with pytest.raises(ValueError, match=r"^seconds: "):
            Budget(1, seconds)


def test_metaschedule_is_run_by_its_own_engine():
    assert MetaSchedule.engine == "metaschedule"
    space = cast(Space, FakeSpace())
    with pytest.raises(ValueError, match="TVM"):
        MetaSchedule().search(
            OPERATOR, space, Bench({}, 1), Budget(1, 1.0), np.random.default_rng(0)
        )
