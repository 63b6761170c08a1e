"""Benchmarks by name: `@pytest.mark.bench("runner/compact", unit="s", better="lower")`.

A benchmark has one test for ours and, where there is one, a test for a named peer, which runs
right after it: `side="ours"`, `side="the peer's name"`. `tests.bench.run` divides them.
"""

from __future__ import annotations

import fnmatch

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--select", default="*", help="glob over the names of benchmarks")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen, left = [], []
    for item in items:
        mark = item.get_closest_marker("bench")
        wanted = mark is not None and fnmatch.fnmatchcase(
            mark.args[0], config.getoption("--select")
        )
        (chosen if wanted else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = chosen


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark):
    """Return `measure(function, rounds=5, setup=None, amount=None)`.

    With `amount` the value is amount / seconds (a rate), else seconds. The median counts.
    """
    mark = request.node.get_closest_marker("bench")

    def run(function, rounds: int = 5, setup=None, amount: float | None = None):
        benchmark.extra_info.update(mark.kwargs, name=mark.args[0], amount=amount)
        benchmark.extra_info.setdefault("side", "ours")
        return benchmark.pedantic(function, setup=setup, rounds=rounds, warmup_rounds=0)

    return run
