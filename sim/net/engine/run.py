"""Running a scenario in the packet engine, whole or interval by interval."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from policies.congestion.base import CWND, INTERVAL, PACING_BPS
from sim import compile_cache
from sim.net.engine import layout as at
from sim.net.engine.build import GUARD, GUARDS, HOOKS, Arena, bins, build, flow_handle, link_handle
from sim.net.engine.faults import wrong_field
from sim.net.engine.grow import grow
from sim.net.engine.loop import advance, report_next
from sim.net.policy_checks import MAX_INFLIGHT, describe, describe_flood, describe_raised
from sim.net.problems import PolicyError, ScenarioError
from sim.net.result import TRACE, Result
from sim.net.scenario import Flow, Scenario


@functools.cache
def compile_engine() -> None:
    """Compile the engine, or load it from the cache; note how long compiling took."""
    started = time.perf_counter()
    advance.compile((types.Array(types.int64, 1, "C"), types.int64))
    if advance.stats.cache_misses:
        compile_cache.note("packet engine", time.perf_counter() - started)


class Session:
    """A run that can be looked at, and steered, between events."""

    def __init__(self, scenario: Scenario, trace: bool = False) -> None:
        """Lay everything out at time 0.

        Args:
            scenario: what to run.
            trace: record every event; memory then grows with their number.

        Raises:
            PolicyError: a controller's `init` raised.
        """
        compile_engine()
        self.scenario = scenario
        self.w: Arena = build(scenario, trace)
        self.finished = False

    @property
    def d(self) -> NDArray[np.float64]:
        """Return the arena as float64; valid until the next run."""
        return self.w.view(np.float64)

    @property
    def now_ns(self) -> int:
        """Return the time up to which events have happened."""
        return int(self.w[at.NOW])

    def run_until(self, time_ns: int) -> None:
        """Let every event up to `time_ns` happen (at most the scenario's duration).

        Raises:
            PolicyError: a controller raised, or left a window, rate or interval that is none.
        """
        while self._advance(time_ns) == at.PAUSED:
            pass

    def run_until_interval(self, flow: int) -> NDArray[np.float64] | None:
        """Run until a monitor interval of `flow` is reported; return its row, None at the end.

        The row is laid out as `policies.congestion.base.INTERVAL`. The rate
        set by `set_rate` afterwards holds from the flow's next send on.

        Raises:
            ScenarioError: there is no such flow, or its controller has no `on_interval`.
        """
        handle = self._controlled(flow)
        if not self.w[handle + at.ON_INTERVAL]:
            raise ScenarioError(f"{self.scenario.flows[flow].label} has no monitor intervals")
        self.w[handle + at.PAUSE] = 1
        paused = report_next(self.w, handle)  # one event may settle several
        paused = paused or self._advance(self.scenario.duration_ns) == at.PAUSED
        self.w[handle + at.PAUSE] = 0
        if not paused:
            self.finished = True
            return None
        row = int(self.w[at.INTERVAL_ROW])
        return self.d[row : row + len(INTERVAL)].copy()

    def state(self, flow: int) -> NDArray[np.float64]:
        """Return float64[width], a view of the state of the flow's controller.

        The view is valid until the next run.
        """
        handle = self._controlled(flow)
        start = int(self.w[handle + at.STATE])
        return self.d[start : start + int(self.w[handle + at.STATE_WIDTH])]

    def set_rate(self, flow: int, rate_bps: float) -> None:
        """Pace the flow at `rate_bps` from its next send on.

        Raises:
            PolicyError: the rate is not a positive number.
        """
        if not 0.0 < rate_bps < float("inf"):
            label = self.scenario.flows[flow].label
            raise PolicyError(f"{label}: rate_bps must be > 0 and finite, got {rate_bps}")
        self.state(flow)[PACING_BPS] = rate_bps

    def _controlled(self, flow: int) -> int:
        """Return the handle of a controlled flow.

        Raises:
            ScenarioError: there is none of that index.
        """
        flows = self.scenario.flows
        if not 0 <= flow < len(flows) or not isinstance(flows[flow], Flow):
            raise ScenarioError(f"flow {flow} is not one of the scenario's controlled flows")
        return flow_handle(self.w, flow)

    def result(self) -> Result:
        """Return totals, series and trace; the account of packets is checked.

        Before the end of the run totals and series also hold deliveries that lie ahead of `now_ns`
        and are settled already: those of packets that have entered their last link.

        Raises:
            PolicyError: a hook wrote beyond its state.
        """
        found = Result(
            scenario=self.scenario,
            totals=self._table(at.TOTALS_AT, at.TOTALS_WIDTH),
            waits=self._table(at.WAITS_AT, at.HISTOGRAM_WIDTH),
            links=self._links(),
            series=self._series(),
            in_network=self._in_network(),
            trace=self._trace(),
            events=int(self.w[at.EVENTS]),
        )
        found.check_accounts()
        self._check_guards()
        return found

    def _check_guards(self) -> None:
        for index, flow in enumerate(self.scenario.flows):
            if isinstance(flow, Flow):
                handle = flow_handle(self.w, index)
                end = int(self.w[handle + at.STATE] + self.w[handle + at.STATE_WIDTH])
                if (self.w[end : end + GUARDS] != GUARD).any():
                    raise PolicyError(f"{flow.label}: a hook wrote beyond the columns of its state")

    def _advance(self, time_ns: int) -> int:
        until = max(self.now_ns, min(time_ns, self.scenario.duration_ns))
        while True:
            try:
                why = advance(self.w, until)
            except Exception as error:
                raise self._policy_error(error) from error
            if why in (at.DONE, at.PAUSED):
                return why
            if why == at.GROW_PACKETS:
                self._refuse_flood()
            self.w = grow(self.w, why)

    def _policy_error(self, error: Exception) -> PolicyError:
        flow = int(self.w[at.AT_FLOW])
        label = self.scenario.flows[flow].label
        hook = HOOKS.get(int(self.w[at.AT_HOOK]), "hook")
        monitored = bool(self.w[flow_handle(self.w, flow) + at.ON_INTERVAL])
        wrong = wrong_field(self.state(flow), monitored)
        if wrong:
            return PolicyError(describe(label, hook, *wrong, self.now_ns))
        return PolicyError(describe_raised(label, hook, error, self.now_ns))

    def _refuse_flood(self) -> None:
        handle = int(self.w[at.WANTED])
        if self.w[handle + at.INFLIGHT] >= MAX_INFLIGHT:
            flow = int(self.w[handle + at.INDEX])
            label = self.scenario.flows[flow].label
            raise PolicyError(describe_flood(label, float(self.state(flow)[CWND]), self.now_ns))

    def _table(self, field: int, width: int) -> NDArray[np.int64]:
        flows = range(len(self.scenario.flows))
        starts = [int(self.w[flow_handle(self.w, flow) + field]) for flow in flows]
        return np.array([self.w[start : start + width] for start in starts])

    def _series(self) -> NDArray[np.int64]:
        count = bins(self.scenario)
        table = self._table(at.SERIES_AT, count * at.SERIES_WIDTH)
        return table.reshape(len(table), count, at.SERIES_WIDTH)

    def _links(self) -> NDArray[np.int64]:
        width = at.LINK_TOTALS_WIDTH
        links = range(len(self.scenario.links))
        starts = [int(self.w[link_handle(self.w, link) + at.K_TOTALS]) for link in links]
        return np.array([self.w[start : start + width] for start in starts])

    def _in_network(self) -> NDArray[np.int64]:
        """Count packets between links, in CoDel's queues, and due after the end, per flow."""
        w = self.w
        handles = [flow_handle(w, flow) for flow in range(len(self.scenario.flows))]
        found = {handle: int(w[handle + at.FUTURE]) for handle in handles}
        for index in range(len(self.scenario.links)):
            k = link_handle(w, index)
            if w[k + at.EXITS]:
                _count_queued(w, k, at.EXITS, found)
            if w[k + at.QUEUE_KIND] == at.CODEL:
                _count_queued(w, k, at.QUEUE, found)
        return np.array([found[handle] for handle in handles], np.int64)

    def _trace(self) -> NDArray[Any] | None:
        if not self.w[at.TRACE_RING]:
            return None
        start, count = int(self.w[at.TRACE_RING]), int(self.w[at.TRACE_COUNT])
        rows = self.w[start : start + count * at.TRACE_WIDTH].copy()
        records = rows.view(TRACE)
        records = records[records["time_ns"] <= self.now_ns]
        order = np.lexsort([records[name] for name in ("number", "flow", "kind", "time_ns")])
        return records[order]


def _count_queued(w: Arena, link: int, queue: int, found: dict[int, int]) -> None:
    mask, head, tail = w[link + queue + 1], int(w[link + queue + 2]), int(w[link + queue + 3])
    for place in range(head, tail):
        row = w[link + queue] + (place & mask) * at.QUEUED_WIDTH
        found[int(w[row + at.Q_FLOW])] += 1


def simulate(scenario: Scenario, trace: bool = False) -> Result:
    """Run a scenario to its end in the packet engine.

    Args:
        scenario: what to run.
        trace: keep a record of every event.

    Raises:
        PolicyError: a controller raised, or left a window, rate or interval that is none.
    """
    session = Session(scenario, trace)
    session.run_until(scenario.duration_ns)
    return session.result()
