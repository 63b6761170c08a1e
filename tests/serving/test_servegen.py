"""ServeGen's distributions: good ones are drawn from, bad ones end in one message."""

import contextlib
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.kinds.base import KINDS
from policies.registry import UnknownNameError
from serving.traces import clients, servegen
from serving.traces.base import TraceError
from tests.needs import need_data

DATASET = json.dumps(
    {
        "0": {"input_tokens": "{3: 0.25, 5: 0.75}", "output_tokens": "{7: 1.0}"},
        "21600": {"input_tokens": "{}", "output_tokens": "{}"},
    }
)
RATES = "0,0.5,1.0,Gamma,1,1\n600,1.5,,,0,0\n21600,9,,,0,0\n"


def folder_of(path, dataset=DATASET, rates=RATES):
    """Write one client."""
    (path / "chunk-0-dataset.json").write_text(dataset)
    (path / "chunk-0-trace.csv").write_text(rates)
    return path


def with_window(**fields):
    """Return a dataset with one window of those fields."""
    good = {"input_tokens": "{3: 1}", "output_tokens": "{7: 1}"}
    return json.dumps({"0": good | fields})


def test_windows_weigh_by_their_requests(tmp_path):
    """(0.5 + 1.5) x 600 requests in the first window; the silent one has none."""
    (window,) = servegen.load(folder_of(tmp_path))
    assert window.requests == 1200
    assert window.prompt.tokens.tolist() == [3, 5]
    pool = servegen.draw_pool((window,), 4000, 4, "mine", np.random.default_rng(0))
    assert set(pool.pool.prompt_tokens) == {3, 5}
    assert (pool.pool.prompt_tokens == 5).mean() == pytest.approx(0.75, abs=0.03)
    assert set(pool.output_tokens) == {7}
    again = servegen.draw_pool((window,), 4000, 4, "mine", np.random.default_rng(0))
    assert np.array_equal(pool.pool.prompt_tokens, again.pool.prompt_tokens)


MALFORMED = {
    "empty": ("", RATES, "is empty"),
    "cut off": (DATASET[:40], RATES, "is no JSON"),
    "list": ("[]", RATES, "no JSON object"),
    "window": ('{"noon": {}}', RATES, "no window's start"),
    "window's value": ('{"0": 3}', RATES, "no JSON object"),
    "missing field": ('{"0": {"input_tokens": "{3: 1}"}}', RATES, "is no text like"),
    "no text": (with_window(output_tokens=5), RATES, "is no text like"),
    "no pair": (with_window(output_tokens="{7}"), RATES, "is no `tokens: probability`"),
    "code": (with_window(output_tokens="{__import__('os'): 1}"), RATES, "is no `tokens"),
    "zero tokens": (with_window(output_tokens="{0: 1}"), RATES, "out of range"),
    "twice": (with_window(output_tokens="{7: 0.5, 7: 0.5}"), RATES, "twice"),
    "negative": (with_window(output_tokens="{7: -1, 8: 2}"), RATES, "no probability"),
    "dots": (with_window(output_tokens="{7: 1.0.0}"), RATES, "no probability"),
    "sum": (with_window(output_tokens="{7: 0.5}"), RATES, "add up to 0.5"),
    "short row": (DATASET, "0\n", "fewer than 2 fields"),
    "bad rate": (DATASET, "0,much\n", "a time and a rate"),
    "nan rate": (DATASET, "0,nan\n", "a time and a rate"),
    "negative rate": (DATASET, "0,-1\n", "a time and a rate"),
    "silent": (DATASET, "0,0\n", "no client sent"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_folders_end_in_one_message(tmp_path, name):
    """The error names the place and the reason."""
    dataset, rates, message = MALFORMED[name]
    with pytest.raises(TraceError, match=message):
        servegen.load(folder_of(tmp_path, dataset, rates))


def test_folders_without_clients_are_refused(tmp_path):
    """No folder, an empty one, and a client without rates."""
    with pytest.raises(TraceError, match="not a folder"):
        servegen.load(tmp_path / "none")
    with pytest.raises(TraceError, match="holds 0 files"):
        servegen.load(tmp_path)
    folder_of(tmp_path)
    (tmp_path / "chunk-0-trace.csv").unlink()
    with pytest.raises(TraceError, match="not a file"):
        servegen.load(tmp_path)


@given(st.binary(max_size=60), st.booleans(), st.integers(0, 200), st.integers(0, 20))
@settings(deadline=None)
def test_damage_never_escapes(tmp_path_factory, junk, in_rates, at, cut):
    """Whatever is written into the files, the result is windows or a `TraceError`."""
    path = folder_of(tmp_path_factory.mktemp("fuzz"))
    target = path / ("chunk-0-trace.csv" if in_rates else "chunk-0-dataset.json")
    data = target.read_bytes()
    target.write_bytes(data[:at] + junk + data[at + cut :])
    with contextlib.suppress(TraceError):
        windows = servegen.load(path)
        pool = servegen.draw_pool(windows, 5, 4, "", np.random.default_rng(0))
        assert pool.output_tokens.min() >= 1


@pytest.mark.extensive
def test_thousands_of_damaged_datasets(tmp_path):
    """Characters swapped, dropped and doubled at random places."""
    luck, path = random.Random(4), folder_of(tmp_path)
    for _ in range(3000):
        text = list(DATASET)
        for _ in range(luck.randrange(1, 5)):
            text[luck.randrange(len(text))] = luck.choice(
                ["", "{", "}", '"', ":", ",", "9" * 9, "-"]
            )
        (path / "chunk-0-dataset.json").write_text("".join(text))
        with contextlib.suppress(TraceError):
            assert servegen.load(path)


def test_the_published_clients_are_as_catalogued():
    """Digest, number of requests, and lengths of reasoning: outputs far longer than prompts."""
    entry = clients.clients_named("reason-deepseek-r1")
    folder = need_data(entry.path)
    assert clients.clients_digest(folder) == entry.sha256
    windows = clients.load_clients(entry.name, entry.sha256)
    assert sum(window.requests for window in windows) == pytest.approx(126_757, abs=1)
    pool = servegen.draw_pool(windows, 20_000, 16, "", np.random.default_rng(0))
    assert pool.output_tokens.mean() > 4 * pool.pool.prompt_tokens.mean()
    with pytest.raises(TraceError, match="has changed"):
        clients.load_clients(entry.name, "0" * 64)


def test_absent_clients_are_told(tmp_path, monkeypatch):
    """An order cannot run on them; a description has no values and says why."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    with pytest.raises(UnknownNameError, match="reason-deepseek-r1"):
        clients.clients_named("deepseek")
    with pytest.raises(TraceError, match="are absent"):
        clients.load_clients("reason-deepseek-r1")
    fields = {"workload": {"kind": "clients", "name": "reason-deepseek-r1"}}
    order, pool = KINDS.get("serving-order"), KINDS.get("serving-pool")
    with pytest.raises(ValueError, match="are absent"):
        order.resolve(order.Config.model_validate(fields).model_dump())
    config = pool.resolve(pool.Config.model_validate(fields).model_dump())
    outcome = pool.run({**config, "policy": None, "seed": 0})
    assert set(outcome.metrics) == set(pool.metrics)
    assert set(outcome.metrics.values()) == {None}
    assert "are absent" in outcome.notes[0]
