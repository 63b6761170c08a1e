"""Trace readers: the real files where present, and every way in which a file can be wrong."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import UnknownNameError
from serving.sharing import max_saved_tokens
from serving.traces import azure, base, burstgpt, catalog, jsonl, mooncake, vidur
from serving.traces.base import TraceError
from tests.needs import need_data

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
VIDUR = "num_prefill_tokens,num_decode_tokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def moon(timestamp=0, length=600, output=5, ids=(0, 1), **more):
    """Return one Mooncake line."""
    row = {"timestamp": timestamp, "input_length": length, "output_length": output}
    return json.dumps(row | {"hash_ids": list(ids)} | more) + "\n"


def line(ids=(1, 2), output=3, **more):
    """Return one plain line."""
    return json.dumps({"prompt_token_ids": list(ids), "output_tokens": output} | more) + "\n"


MALFORMED = {
    "empty": (azure, b"", None, "is empty"),
    "header only": (azure, AZURE.encode(), None, "holds no request"),
    "missing column": (azure, b"TIMESTAMP,ContextTokens\n1,2\n", 1, "column is missing"),
    "negative": (vidur, f"{VIDUR}5,5\n-3,5\n".encode(), 3, "not a whole number"),
    "NaN": (vidur, f"{VIDUR}NaN,5\n".encode(), 2, "not a whole number"),
    "fraction": (vidur, f"{VIDUR}5,1.5\n".encode(), 2, "not a whole number"),
    "zero prompt": (vidur, f"{VIDUR}0,5\n".encode(), 2, "out of range"),
    "huge": (vidur, f"{VIDUR}{'9' * 400},5\n".encode(), 2, "out of range"),
    "other digits": (vidur, f"{VIDUR}٣,5\n".encode(), 2, "not a whole number"),
    "cut row": (vidur, f"{VIDUR}5,5\n7".encode(), 3, "cut off"),
    "bad time": (azure, f"{AZURE}yesterday,1,1\n".encode(), 2, "no time like"),
    "time back": (
        azure,
        f"{AZURE}2023-11-16 18:17:03.9,1,1\n2023-11-16 18:17:02.1,1,1\n".encode(),
        3,
        "time goes back",
    ),
    "latin-1": (vidur, VIDUR.encode() + b"5,\xe9\n", 2, "not UTF-8"),
    "utf-16": (vidur, VIDUR.encode("utf-16"), 1, "not UTF-8"),
    "cut json": (mooncake, (moon() + moon()[:30]).encode(), 2, "cut off"),
    "json list": (mooncake, b"[1]\n", 1, "no JSON object"),
    "deep json": (mooncake, b"[" * 100_000, 1, "no JSON"),
    "missing field": (mooncake, b'{"timestamp": 0}\n', 1, "is missing"),
    "too few ids": (mooncake, moon(ids=(1,)).encode(), 1, "fills 2 blocks"),
    "text ids": (mooncake, moon(ids=("a", 1)).encode(), 1, "something else"),
    "bool length": (mooncake, moon(length=True).encode(), 1, "not a whole number"),
    "float length": (mooncake, moon(length=600.0).encode(), 1, "not a whole number"),
    "moon time back": (mooncake, (moon(9) + moon(3)).encode(), 2, "time goes back"),
    "infinite time": (mooncake, moon(float("inf")).encode(), 1, "is no time"),
    "nan time": (mooncake, moon(float("nan")).encode(), 1, "is no time"),
    "no tokens": (jsonl, line(ids=()).encode(), 1, "0 tokens"),
    "negative token": (jsonl, line(ids=(1, -2)).encode(), 1, "something else"),
    "bool token": (jsonl, line(ids=(1, True)).encode(), 1, "something else"),
    "arrival back": (jsonl, (line(arrival_s=2) + line(arrival_s=1)).encode(), 2, "time goes back"),
    "arrival text": (jsonl, line(arrival_s="now").encode(), 1, "is no number"),
    "burst time": (burstgpt, f"{BURST}soon,GPT-4,5,5,10,API log\n".encode(), 2, "no number of s"),
    "burst digits": (burstgpt, f"{BURST}1_0,GPT-4,5,5,10,API log\n".encode(), 2, "no number of s"),
    "burst infinite": (burstgpt, f"{BURST}inf,GPT-4,5,5,10,API log\n".encode(), 2, "is no time"),
    "burst back": (
        burstgpt,
        f"{BURST}5,GPT-4,5,5,10,API log\n4,GPT-4,5,5,10,API log\n".encode(),
        3,
        "time goes back",
    ),
    "burst prompt": (burstgpt, f"{BURST}5,GPT-4,0,5,5,API log\n".encode(), 2, "out of range"),
    "burst failed": (burstgpt, f"{BURST}5,GPT-4,7,0,7,API log\n".encode(), None, "no request"),
    "burst cut": (burstgpt, f"{BURST}5,GPT-4,7\n".encode(), 2, "cut off"),
    "git lfs": (burstgpt, b"version https://git-lfs.github.com/spec/v1\n", 1, "column is missing"),
    "zero output": (jsonl, line(output=0).encode(), 1, "out of range"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_end_in_one_message(tmp_path, name):
    """The error carries file, row and reason; nothing else escapes."""
    reader, content, row, message = MALFORMED[name]
    path = tmp_path / "trace"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message) as caught:
        reader.load(path)
    assert caught.value.row == row
    assert str(path) in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from([azure, burstgpt, vidur, mooncake, jsonl]))
@settings(deadline=None)
def test_random_bytes_never_escape(tmp_path_factory, content, reader):
    """Whatever a file holds, it is a trace or a `TraceError`."""
    path = tmp_path_factory.mktemp("fuzz") / "trace"
    for prefix in (b"", *(text.encode() for text in (AZURE, BURST, VIDUR, line(), moon()))):
        path.write_bytes(prefix + content)
        with contextlib.suppress(TraceError):
            assert reader.load(path).prompt_tokens.min() >= 1


def test_limits_hold(tmp_path, monkeypatch):
    """Too many rows or bytes are refused before they are kept."""
    path = tmp_path / "trace"
    path.write_text(VIDUR + "1,1\n" * 9)
    monkeypatch.setattr(base, "MAX_ROWS", 5)
    with pytest.raises(TraceError, match="more than 5 rows"):
        vidur.load(path)
    monkeypatch.setattr(base, "MAX_BYTES", 10)
    with pytest.raises(TraceError, match="at most 10"):
        vidur.load(path)
    with pytest.raises(TraceError, match="not a file"):
        vidur.load(tmp_path)


def test_a_million_tokens_in_one_line_work(tmp_path):
    """Long prompts are data, not an error."""
    path = tmp_path / "long.jsonl"
    path.write_text(line(ids=range(1_000_000)))
    workload = jsonl.load(path).workload(16, "long")
    assert workload.pool.blocks_per_request.tolist() == [62_500]


def test_good_files_are_read_alike(tmp_path):
    """Small files of each format, with and without a last newline or a byte order mark."""
    path = tmp_path / "trace"
    path.write_text("\ufeff" + AZURE + "2023-11-16 18:17:03.5,10,2\r\n2023-11-16 18:17:04.0,7,1")
    trace = azure.load(path)
    assert trace.prompt_tokens.tolist() == [10, 7]
    assert trace.arrival_ns.tolist() == [0, 500_000_000]
    path.write_text(line(arrival_s=0.5) + '{"input_tok_ids": [1], "output_toks": 2}')
    assert jsonl.load(path).arrival_ns.tolist() == [500_000_000] * 2


def test_failed_requests_are_left_out_and_counted(tmp_path):
    """Rows without response tokens are no requests; the origin says how many there were."""
    path = tmp_path / "trace"
    rows = "5,ChatGPT,472,18,490,Conversation log\n6.5,GPT-4,300,0,300,API log\n"
    path.write_text(BURST + rows + "8,GPT-4,0,0,0,API log\n45,GPT-4,9,230,239,API log\n")
    trace = burstgpt.load(path)
    assert trace.prompt_tokens.tolist() == [472, 9]
    assert trace.output_tokens.tolist() == [18, 230]
    assert trace.arrival_ns.tolist() == [5 * 10**9, 45 * 10**9]
    assert trace.workload(16, "mine").origin == "mine; 2 failed requests left out"


def test_hashed_blocks_can_be_cut_finer(tmp_path):
    """Blocks of 512 cut into 128: the shared part stays shared, to the token."""
    path = tmp_path / "trace"
    path.write_text(moon(ids=(4, 5)) + moon(length=1100, ids=(4, 5, 6)) + moon(ids=(4, 9)))
    trace = mooncake.load(path)
    coarse, fine = trace.workload(512, "").pool, trace.workload(128, "").pool
    assert max_saved_tokens(coarse) == 2 * 512
    assert fine.blocks_per_request.tolist() == [4, 8, 4]
    assert max_saved_tokens(fine) == 2 * 512
    with pytest.raises(ValueError, match="must divide 512"):
        trace.workload(100, "")


def test_catalogue_says_where_a_missing_trace_is(tmp_path, monkeypatch):
    """Absent traces are None, and the message names the publisher and the place."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    for name, entry in catalog.TRACES.items():
        assert catalog.locate(name) is None
        assert entry.published in catalog.missing_message(name)
        with pytest.raises(TraceError, match="is absent"):
            catalog.load_trace(name)
    with pytest.raises(UnknownNameError, match="azure-code-2023"):
        catalog.locate("azure-code")


# BurstGPT's file has never been at hand: how many requests it has is not in the catalogue, and its
# reader is tested on files made for it.
CHECKED = sorted(name for name, entry in catalog.TRACES.items() if entry.requests is not None)


@pytest.mark.parametrize("name", CHECKED)
def test_public_traces_are_as_catalogued(name):
    """Size, digest and readability of the real files."""
    entry = catalog.entry_named(name)
    path = need_data(entry.path)
    assert catalog.digest(path) == entry.sha256
    assert entry.load(path).prompt_tokens.size == entry.requests


def test_mooncake_shares_what_is_published():
    """Mean 12035 / 343 tokens and 37.4 % of blocks shared."""
    path = need_data(catalog.entry_named("mooncake-conversation").path)
    workload = mooncake.load(path).workload(512, "")
    assert workload.pool.prompt_tokens.mean() == pytest.approx(12_035, abs=1)
    assert workload.output_tokens.mean() == pytest.approx(343, abs=1)
    ids = workload.pool.block_ids
    assert 1 - len(np.unique(ids)) / len(ids) == pytest.approx(0.374, abs=0.03)


def test_a_changed_file_is_not_taken_for_the_old_one():
    """A run that pins a digest refuses another file."""
    need_data(catalog.entry_named("azure-code-2023").path)
    with pytest.raises(TraceError, match="has changed"):
        catalog.load_trace("azure-code-2023", "0" * 64)
