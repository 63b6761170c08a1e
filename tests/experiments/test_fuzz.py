"""Damaged manifests and traces: each ends in success or in one kind of error with a message."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import multiprocessing
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.problems import InputError, InvalidManifest
from experiments.yaml_source import parse_scalar
from policies.registry import load_plugin
from serving.traces import azure, burstgpt, jsonl, mooncake, vidur
from serving.traces.base import TraceError
from tests.experiments.harness import PLUGIN, sweep

PLUGINS = (PLUGIN, PLUGIN.with_name("plugin_compared.py"))

SHARDS = 8
MANIFESTS_PER_SHARD = 1250
TRACES_PER_SHARD = 1250

GRID = """\
schema: 1
id: mine/grid
title: Grid
question: Does it run?
panel: serving
artefact: Fig. 1
kind: compared
promise: L0
base: {x: 1.0, part: {kind: partial, h: 0.5}}
axes:
  - grid: {x: [1.0, 2.0], mode: [slow, fast]}
  - zip:
      count: [1, 2, 3]
      part.h: [0.1, 0.2, 0.3]
exclude: [{x: 2.0, mode: fast}]
policies: [arrival, shuffled]
seeds: 2
limits: {timeout_s: 60, memory_mib: 512}
sizes:
  quick: {seconds: 1, seeds: [1, 2]}
  standard: {seconds: 2, base: {part: {kind: sum}}, axes: [{grid: {x: [1]}}]}
  paper: {seconds: 3, policies: [arrival]}
metrics: [score, cost]
claims:
  - id: gain
    statement: "It gains: 20 %"
    metric: score
    unit: ratio
    statistic: {kind: ratio, policy: shuffled, over: arrival, where: {x: 1.0}}
    paper: {value: 1.2e0, mark: printed, source: Fig. 1}
    tolerance: {kind: rel, value: 0.1}
"""
LISTED = """\
schema: 1
id: mine/listed
title: &text Listed
question: *text
panel: tuning
artefact: not in the paper
kind: trivial
promise: L2
needs: [gpu]
axes:
  - union:
      - list: [{x: 1, label: a}, {x: 2, label: b}]
      - grid: {x: [3, 4, 5], label: [c]}
sizes:
  quick: &size {seconds: 1.5}
  standard:
    <<: *size
    limits: {timeout_s: 5, memory_mib: 64}
  paper: *size
metrics: [value]
"""

TOKENS = [
    "null", "true", "1", "-1", "0", "1e400", ".nan", "-.inf", "9" * 25, "9" * 5000, "0x" + "f" * 30,
    "2024-01-02", "!!python/object/apply:os.system [ls]", "!!binary aGk=", "!!set {a}", "!x", "&a",
    "*a", "&a [*a]", "<<: *a", "[", "]", "{", "}", "[]", "{}", "[[[[1]]]]", "[" * 60 + "]" * 60,
    "- ", "? ", ": ", "|", ">", "'", '"', '"\\ud800"', '"\\x00"', "%YAML 1.1", "---",
    "...", "#", "\t", "@", "`", "é" * 5, "x" * 3000, "a.b.c", "../../x", "__class__", "${HOME}",
    "[1, 2, 3]", "{kind: sum}", "{kind: partial}", "arrival", "-0.0",
]  # fmt: skip
CHARACTERS = [
    "\x00",
    "\x01",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "\U0001f600",
    "\r",
    "٣",
]
NUMBERS = [
    "-1",
    "0",
    "1e308",
    "1e-320",
    str(2**63),
    str(2**53 + 1),
    "0.1",
    "NaN",
    "true",
    "1_000",
    "'1'",
    "100000",
]

VALUES: list[Any] = [
    None, True, 0, -1, 1, 1.5, 10**6, 2**62, -0.0, 1e308, 5e-324, "", "x", "0", "slow", "arrival",
    "a/b", "x" * 5000, [], {}, [[]], {"kind": "sum"}, {"kind": "partial", "h": 0.5}, {"kind": []},
    [1, 1.0, True, "1"], list(range(1000)), {"grid": {"x": [1]}}, {"x": {"y": {"z": 1}}}, {"": 1},
    "\x1b]0;t\x07", "a\nb",
]  # fmt: skip

Lines = list[str]


def delete(lines: Lines, at: int, luck: random.Random) -> None:
    del lines[at]


def duplicate(lines: Lines, at: int, luck: random.Random) -> None:
    lines.insert(luck.randrange(len(lines)), lines[at])


def swap(lines: Lines, at: int, luck: random.Random) -> None:
    other = luck.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def flip(lines: Lines, at: int, luck: random.Random) -> None:
    if lines[at]:
        place = luck.randrange(len(lines[at]))
        lines[at] = lines[at][:place] + chr(luck.randrange(32, 127)) + lines[at][place + 1 :]


def insert(lines: Lines, at: int, luck: random.Random) -> None:
    place = luck.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:place] + luck.choice(TOKENS + CHARACTERS) + lines[at][place:]


def value(lines: Lines, at: int, luck: random.Random) -> None:
    """Another value, of any type."""
    head, colon, _ = lines[at].partition(": ")
    lines[at] = head + (colon or ": ") + luck.choice(TOKENS)


def number(lines: Lines, at: int, luck: random.Random) -> None:
    words = lines[at].split(" ")
    words[luck.randrange(len(words))] = luck.choice(NUMBERS)
    lines[at] = " ".join(words)


def rename(lines: Lines, at: int, luck: random.Random) -> None:
    head, colon, rest = lines[at].partition(":")
    lines[at] = head + luck.choice(["s", "_", "X", " ", ".x", ""]) + colon + rest


def indent(lines: Lines, at: int, luck: random.Random) -> None:
    lines[at] = luck.choice([" ", "  ", "\t", "- "]) + lines[at]


def nest(lines: Lines, at: int, luck: random.Random) -> None:
    depth = luck.choice([3, 30, 300, 3000])
    head, colon, rest = lines[at].partition(": ")
    lines[at] = head + colon + luck.choice(["[", "{a: ", "- "]) * depth + rest


def truncate(lines: Lines, at: int, luck: random.Random) -> None:
    lines[at] = lines[at][: luck.randrange(len(lines[at]) + 1)]
    del lines[at + 1 :]


MUTATIONS = [delete, duplicate, swap, flip, insert, value, number, rename, indent, nest, truncate]


def mutated(text: str, luck: random.Random) -> bytes:
    """Return the text after one to four mutations, and in a while with a byte that is no text."""
    lines = text.split("\n")
    for _ in range(luck.choice([1, 1, 2, 4])):
        luck.choice(MUTATIONS)(lines, luck.randrange(len(lines)), luck)
        lines = lines or [""]
    data = "\n".join(lines).encode()
    if luck.random() < 0.02:
        place = luck.randrange(len(data) + 1)
        data = data[:place] + bytes([luck.randrange(128, 256)]) + data[place:]
    return data


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (mapping or list, key or index) of every value below `value`."""
    found = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found.extend(places(inner))
    return found


def mutated_tree(text: str, luck: random.Random) -> bytes:
    """Return the manifest, still well-formed, after one to three changes of its values."""
    tree = copy.deepcopy(parsed(text))
    for _ in range(luck.choice([1, 1, 2, 3])):
        holder, key = luck.choice(places(tree))
        other_holder, other_key = luck.choice(places(tree))
        change = luck.randrange(5)
        if change == 0:
            del holder[key]
        elif change == 1:
            holder[key] = copy.deepcopy(luck.choice(VALUES))
        elif change == 2:
            holder[key] = copy.deepcopy(other_holder[other_key])
        elif change == 3 and isinstance(holder, dict):
            holder[luck.choice([f"{key}s", "kind", "", "x", "seed", "a.b", "\x1b"])] = holder.pop(
                key
            )
        elif isinstance(holder, list):
            holder.extend(holder[:3])
    return json.dumps(tree).encode()


@functools.cache
def parsed(text: str) -> Any:
    return parse_scalar(text)


@functools.cache
def sources() -> list[str]:
    """Return good manifests of every shape, those of the project last."""
    return [GRID, LISTED, *(p.read_text() for p in sorted(MANIFESTS.glob("*/*.yaml")))]


def damaged(luck: random.Random) -> bytes:
    """Return a damaged manifest; now and then one of the project's, which take longer to read."""
    text = luck.choice(sources()[2:] if luck.random() < 0.04 else sources()[:2])
    return luck.choice([mutated, mutated_tree])(text, luck)


def is_told(error: InputError) -> bool:
    if not isinstance(error, InvalidManifest):
        return bool(str(error).strip())
    lines = [str(p) for p in error.problems if p.message.strip()]
    return bool(lines) and len(lines) == len(error.problems) and "".join(lines).isprintable()


def outcome_of(path: Path) -> str:
    """Load and plan as `run --dry-run` does; return what came of it."""
    try:
        plan = make_plan(load_manifest(path), "quick")
    except InvalidManifest as error:
        word, told = "invalid", is_told(error)
    except InputError as error:
        word, told = "refused", is_told(error)
    else:
        word, told = "planned", bool(plan.runs)
    assert told, word
    return word


def fuzz_manifests(folder: Path, seed: int, count: int) -> Counter[str]:
    luck, path, found = random.Random(seed), folder / "m.yaml", Counter()
    for index in range(count):
        data = damaged(luck)
        path.write_bytes(data)
        try:
            found[outcome_of(path)] += 1
        except BaseException as error:
            raise AssertionError(f"mutation {index} of seed {seed}:\n{data!r}") from error
    return found


@pytest.mark.parametrize("text", sources())
def test_the_manifests_are_good_before_they_are_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    assert outcome_of(tmp_path / "m.yaml") == "planned"


def test_300_damaged_manifests(tmp_path: Path) -> None:
    found = fuzz_manifests(tmp_path, 1000, 300)
    assert found["invalid"] > 100
    assert found["planned"] > 20


def _shard(folder: Path, seed: int) -> int:
    for plugin in PLUGINS:
        load_plugin(plugin, [KINDS])
    (folder / str(seed)).mkdir()
    return fuzz_manifests(folder / str(seed), seed, MANIFESTS_PER_SHARD).total()


@pytest.mark.extensive
@pytest.mark.timeout(1500)
def test_10000_damaged_manifests(tmp_path: Path) -> None:
    """On all cores; a failure names its seed and shows the bytes."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(mp_context=context) as pool:
        counts = pool.map(_shard, [tmp_path] * SHARDS, range(SHARDS))
        assert sum(counts) == 10_000


@pytest.mark.extensive
@pytest.mark.timeout(900)
def test_100_damaged_manifests_through_the_command_line(tmp_path: Path) -> None:
    luck = random.Random(7)
    mine = sweep(tmp_path)
    codes: Counter[int] = Counter()
    for _ in range(100):
        data = damaged(luck)
        mine.manifest.write_bytes(data)
        done = mine.run("--dry-run", "--plugin", str(PLUGINS[1]))
        assert done.returncode in (0, 2), data
        assert "Traceback" not in done.stderr, data
        assert (done.returncode == 0) == bool(done.stdout.strip()), data
        said = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
        assert (done.returncode == 2) == bool(said), data
        codes[done.returncode] += 1
    assert codes[2] > 30
    assert codes[0] > 5


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:17:{second:02}.9799600,{10 + second},{5 + second}\n" for second in range(6)
)
VIDUR = "num_prefill_tokens,num_decode_tokens,pd_ratio\n" + "".join(
    f"{row},{2 * row},0.5\n" for row in range(1, 7)
)
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n" + "".join(
    f"{row},ChatGPT,{row},{row + 3},{2 * row + 3},API log\n" for row in range(1, 7)
)
MOONCAKE = "".join(
    json.dumps({"timestamp": 10 * t, "input_length": 600, "output_length": 5, "hash_ids": [0, t]})
    + "\n"
    for t in range(6)
)
JSONL = "".join(
    json.dumps({"prompt_token_ids": [1, 2, t], "output_tokens": 3, "arrival_s": t / 2}) + "\n"
    for t in range(6)
)
TRACES: list[tuple[Any, str]] = [
    (azure, AZURE),
    (burstgpt, BURST),
    (vidur, VIDUR),
    (mooncake, MOONCAKE),
    (jsonl, JSONL),
]


def cell(lines: Lines, at: int, luck: random.Random) -> None:
    """Another value in one cell or field."""
    for mark in (",", ": "):
        cells = lines[at].split(mark)
        if len(cells) > 1:
            junk = [
                *TOKENS,
                *NUMBERS,
                "",
                '"',
                '"a,b"',
                "2023-11-16",
                "18:17:03+01:00:00",
                "[1, -1]",
                "1e18",
            ]
            cells[luck.randrange(len(cells))] = luck.choice(junk)
            lines[at] = mark.join(cells)
            return


def damaged_trace(text: str, luck: random.Random) -> bytes:
    lines = text.split("\n")
    if luck.random() < 0.5:
        cell(lines, luck.randrange(len(lines)), luck)
    return mutated("\n".join(lines), luck)


def fuzz_traces(folder: Path, seed: int, count: int) -> Counter[str]:
    luck, path, found = random.Random(seed), folder / "trace", Counter()
    for index in range(count):
        reader, text = luck.choice(TRACES)
        data = damaged_trace(text, luck)
        path.write_bytes(data)
        try:
            with contextlib.suppress(TraceError):
                trace = reader.load(path)
                found["read"] += 1
                assert len(trace.prompt_tokens) == len(trace.output_tokens) == len(trace.arrival_ns)
                assert (trace.prompt_tokens > 0).all()
                assert (trace.output_tokens > 0).all()
                assert (trace.arrival_ns[1:] >= trace.arrival_ns[:-1]).all()
        except BaseException as error:
            name = reader.__name__
            raise AssertionError(f"mutation {index} of seed {seed}, {name}:\n{data!r}") from error
        found["all"] += 1
    return found


@pytest.mark.parametrize(("reader", "text"), TRACES)
def test_the_traces_are_good_before_they_are_damaged(
    tmp_path: Path, reader: Any, text: str
) -> None:
    (tmp_path / "trace").write_text(text)
    assert len(reader.load(tmp_path / "trace").prompt_tokens) == 6


def test_300_damaged_traces(tmp_path: Path) -> None:
    found = fuzz_traces(tmp_path, 1000, 300)
    assert 20 < found["read"] < 280


@pytest.mark.extensive
@pytest.mark.parametrize("shard", range(SHARDS))
def test_10000_damaged_traces(tmp_path: Path, shard: int) -> None:
    fuzz_traces(tmp_path, shard, TRACES_PER_SHARD)
