"""Steps: nothing twice, everything that must be, and one message for what is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from policies.distill.steps import RECORD, Kind, Progress, Steps, digest
from policies.distill.storage import read_json, write_bytes, write_json


def write(path: Path, value: Any) -> None:
    write_json(path, {"value": value})
    write_bytes(path.with_suffix(".txt"), b"beside")


def read(path: Path) -> Any:
    if path.with_suffix(".txt").read_bytes() != b"beside":
        raise ValueError("what lies beside is another")
    return read_json(path)["value"]


KIND: Kind[Any] = Kind((".json", ".txt"), write, read)
NAMES = ("one", "two", "three")


class Chain:
    """Three steps, each of the one before; counts what is made."""

    def __init__(self, folder: Path, progress: Callable[[Progress], None] | None = None) -> None:
        self.made: list[str] = []
        self.steps = Steps(folder, dict.fromkeys(NAMES, 2.0), progress)

    def run(self, one: int = 1, two: int = 10, three: int = 100) -> int:
        def made(name: str, value: int) -> int:
            self.made.append(name)
            return value

        do = self.steps.do
        first = do("one", KIND, {"n": one}, [], lambda: made("one", one % 10))
        second = do("two", KIND, {"n": two}, ["one"], lambda: made("two", first + two))
        return do("three", KIND, {"n": three}, ["two"], lambda: made("three", second + three))


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    first, second = Chain(tmp_path), Chain(tmp_path)
    assert first.run() == second.run() == 111
    assert first.made == list(NAMES)
    assert second.made == []


@pytest.mark.parametrize(
    ("change", "made", "result"),
    [
        ({"three": 200}, ["three"], 211),
        ({"two": 20}, ["two", "three"], 121),
        ({"one": 2}, ["one", "two", "three"], 112),
        ({"one": 11}, ["one"], 111),  # the same result: what follows from it stays
    ],
)
def test_a_change_lets_only_what_depends_on_it_be_redone(
    change: dict[str, int], made: list[str], result: int, tmp_path: Path
) -> None:
    Chain(tmp_path).run()
    again = Chain(tmp_path)
    assert again.run(**change) == result
    assert again.made == made


def test_removed_files_are_made_again(tmp_path: Path) -> None:
    Chain(tmp_path).run()
    for name in ("two.json", "two.txt", f"two{RECORD}"):
        (tmp_path / name).unlink()
        again = Chain(tmp_path)
        assert again.run() == 111
        assert again.made == ["two"]


def test_what_is_damaged_is_one_message_that_says_what_to_remove(tmp_path: Path) -> None:
    Chain(tmp_path).run()
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(whole) == 9
    for name, content in whole.items():
        for damage in (b"", content[:-1], content + b" ", b"\x00" + content[1:], b"[" * 100_000):
            (tmp_path / name).write_bytes(damage)
            try:
                assert Chain(tmp_path).run() == 111  # a record may be damaged and say the same
            except ValueError as error:
                text = str(error)
                assert "\n" not in text
                found = re.search(r"remove (\S+) to have", text)
                assert found, text
                removed = Path(found[1])
                assert removed.name in (name, f"{name.split('.')[0]}{RECORD}")
                removed.unlink()
                again = Chain(tmp_path)
                assert again.run() == 111
                assert again.made == [name.split(".")[0]]
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole or (
                name.endswith(RECORD)
            )
            (tmp_path / name).write_bytes(content)


def test_damage_that_the_record_vouches_for_is_one_message(tmp_path: Path) -> None:
    """As after a change of code that reads the file."""
    Chain(tmp_path).run()
    from policies.distill.storage import digest_of

    record = tmp_path / f"two{RECORD}"
    told = json.loads(record.read_text())
    (tmp_path / "two.txt").write_bytes(b"other")
    told["files"]["two.txt"] = digest_of(tmp_path / "two.txt")
    record.write_text(json.dumps(told))
    with pytest.raises(
        ValueError, match=r"two\.json: what lies beside .* remove .*two\.done\.json"
    ):
        Chain(tmp_path).run()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"identity": 3, "files": {}}', "\x00"])
def test_a_record_that_is_none_is_one_message(text: str, tmp_path: Path) -> None:
    Chain(tmp_path).run()
    (tmp_path / f"two{RECORD}").write_text(text)
    with pytest.raises(ValueError, match=r"remove \S+two\.done\.json to have the step done again"):
        Chain(tmp_path).run()


def test_a_kill_between_files_and_record_leaves_a_step_to_do(tmp_path: Path) -> None:
    Chain(tmp_path).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def killed(path: Path, value: Any) -> None:
        write(path, value)
        raise KeyboardInterrupt

    steps = Steps(tmp_path, {"one": 1.0})
    with pytest.raises(KeyboardInterrupt):
        steps.do("one", Kind((".json", ".txt"), killed, read), {"n": 5}, [], lambda: 5)
    again = Chain(tmp_path)
    assert again.run() == 111
    assert again.made == ["one"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_results_come_from_their_files(tmp_path: Path) -> None:
    """So what was made and what was found are alike."""
    steps = Steps(tmp_path, {"one": 1.0})
    value = steps.do("one", KIND, {}, [], lambda: (1, 2))
    assert value == [1, 2]


def test_progress_tells_of_begin_middle_and_end(tmp_path: Path) -> None:
    told: list[Progress] = []
    steps = Steps(tmp_path, {"one": 2.0, "two": 6.0}, told.append)

    def made() -> int:
        steps.tell(0.5, "half")
        return 1

    steps.do("one", KIND, {}, [], made)
    steps.do("two", KIND, {}, ["one"], made)
    assert [(p.step, p.place, p.steps, p.done, p.text) for p in told] == [
        ("one", 1, 2, 0.0, ""),
        ("one", 1, 2, 0.5, "half"),
        ("one", 1, 2, 1.0, ""),
        ("two", 2, 2, 0.0, ""),
        ("two", 2, 2, 0.5, "half"),
        ("two", 2, 2, 1.0, ""),
    ]
    assert [p.left > 0.0 for p in told] == [True] * 5 + [False]
    assert told[0].left == 8.0
    assert all(later.seconds >= sooner.seconds for sooner, later in pairwise(told))
    found: list[Progress] = []
    again = Steps(tmp_path, {"one": 2.0, "two": 6.0}, found.append)
    again.do("one", KIND, {}, [], made)
    assert [(p.step, p.found, p.left) for p in found] == [("one", True, 6.0)]


def test_steps_can_turn_out_fewer(tmp_path: Path) -> None:
    told: list[Progress] = []
    steps = Steps(tmp_path, {"one": 1.0, "two": 1.0, "three": 1.0}, told.append)
    steps.do("one", KIND, {}, [], lambda: 1)
    steps.expect({"one": 1.0, "three": 1.0})
    steps.do("three", KIND, {}, ["one"], lambda: 1)
    assert [p.steps for p in told] == [3, 3, 2, 2]
    assert told[-1].left == 0.0


def test_a_digest_is_of_the_values() -> None:
    assert digest({"a": 1, "b": [2.5]}) == digest({"b": [2.5], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})
