"""YAML to JSON values: what is one is read as YAML 1.2 says, what is not is one clear fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments.problems import InvalidManifest
from experiments.yaml_source import MAX_BYTES, MAX_DEPTH, line_of, load_yaml, parse_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5e3", 1500.0),
        ("on", "on"),
        ("no", "no"),
        ("0o17", 15),
        ("0x1f", 31),
        ("1:30", "1:30"),
        ("~", None),
        ("", None),
        ("true", True),
        ("[1, a, {b: 2}]", [1, "a", {"b": 2}]),
        ("'2024-01-02'", "2024-01-02"),
        ("-9223372036854775807", -(2**63) + 1),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_scalar(text)
    assert found == value
    assert type(found) is type(value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e9, 1e9)
    | st.text("ab1: #-é\\\"'\n\t"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab .é", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
@example({"": {"": []}})
def test_json_is_read_back_as_it_was_written(value: Any) -> None:
    assert parse_scalar(json.dumps(value)) == value


def alias_bomb() -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "\n".join(rows)


def alias_ladder() -> str:
    """Each rung is shallow in itself, and stands on the one before: 400 levels once expanded."""
    rungs = ["a0: &a0 [[[[[[[[x]]]]]]]]"]
    rungs += [f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]" for i in range(1, 50)]
    return "\n".join(rungs)


FAULTS = {
    "duplicate key": ("a: 1\nb: 2\na: 3", 3, "duplicate"),
    "python tag": ("x: 1\na: !!python/object/apply:os.system [ls]", 2, "python"),
    "python name": ("a: !!python/name:os.system", 1, "python"),
    "own tag": ("a: !mine 1", 1, "mine"),
    "binary": ("b: 1\na: !!binary aGk=", 2, "binary"),
    "set": ("a: !!set {x, y}", 1, "set"),
    "date": ("x: 1\nday: 2024-01-02", 2, "timestamp"),
    "time": ("day: 2024-01-02T10:00:00Z", 1, "quotes"),
    "no such day": ("day: 2024-13-45", 1, "timestamp"),
    "alias bomb": (alias_bomb(), 5, "more than"),
    "alias ladder": (alias_ladder(), 4, "deeper"),
    "alias of itself": ("x: 1\na: &a [1, *a]", 2, "itself"),
    "alias of nothing": ("x: 1\na: *b", 2, "alias"),
    "flow nesting": ("a: " + "[" * 100 + "]" * 100, 1, "deeper"),
    "very deep nesting": ("a: " + "[" * 100_000, 1, "deeper"),
    "block nesting": ("\n".join(" " * i + f"k{i}:" for i in range(60)), 25, "deeper"),
    "nan": ("x: 1\na: [1, .nan]", 2, "finite"),
    "infinity": ("a: -.inf", 1, "finite"),
    "float overflow": ("a: 1e999", 1, "finite"),
    "huge integer": ("a: " + "9" * 30, 1, "64 bits"),
    "immense integer": ("a: " + "9" * 10_000, 1, "64 bits"),
    "huge hexadecimal": ("a: 0x" + "f" * 20_000, 1, "64 bits"),
    "half a character": ('x: 1\na: "\\ud800"', 2, "surrogate"),
    "half a character in a key": ('"\\udfff": 1', 1, "surrogate"),
    "number as key": ("a:\n  1: x", 2, "key '1'"),
    "null as key": ("~: x", 1, "key '~'"),
    "list as key": ("? [a]\n: 1", 1, "not text"),
    "two documents": ("a: 1\n---\nb: 2", 2, "not valid YAML"),
    "tab": ("a:\n\t- 1", 2, "not valid YAML"),
    "control character": ("a: \x01", None, "not valid YAML"),
    "unclosed": ("a: [1, 2", 1, "not valid YAML"),
    "empty": ("", 1, "mapping"),
    "comment alone": ("# nothing\n", 1, "mapping"),
    "list": ("- 1", 1, "mapping"),
    "text": ("hello", 1, "mapping"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_mapping_of_json_values_is_one_fault(tmp_path: Path, name: str) -> None:
    """One problem, with a message that fits, and the line where YAML or we can tell it."""
    text, line, message = FAULTS[name]
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(InvalidManifest) as caught:
        load_yaml(path)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.line == line
    assert problem.file == str(path)
    assert "\n" not in str(problem)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse_scalar("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="deeper"):
        parse_scalar("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01\x02\xff\xfe" * 50, "UTF-8"),
        ("a: é".encode("latin-1"), "UTF-8"),
        ("a: 1".encode("utf-16"), "UTF-8"),
        (b"a: 1\n#" + b"x" * MAX_BYTES, "larger"),
    ],
)
def test_bytes_that_are_no_small_utf8_text_are_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(data)
    with pytest.raises(InvalidManifest, match=message):
        load_yaml(path)


@pytest.mark.parametrize("path", ["", "absent.yaml", "/dev/zero", "x" * 5000])
def test_what_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    """A directory, nothing, a device without end, a name that is too long."""
    with pytest.raises(InvalidManifest, match=r"cannot be read|larger"):
        load_yaml(tmp_path / path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes("a: 1".encode("utf-8-sig"))
    assert load_yaml(path)[0] == {"a": 1}


def test_line_of_a_field_or_of_its_nearest_parent() -> None:
    text = "a:\n  b:\n    - x\n    - y: 1\n      z: 2\nc: 3\n"
    assert line_of(text, ("a", "b", 1, "z")) == 5
    assert line_of(text, ("a", "b", 1, "absent")) == 4
    assert line_of(text, ("a", "b", 7)) == 2
    assert line_of(text, ("c",)) == 6
    assert line_of(text, ()) == 1
    assert line_of("[", ("a",)) is None


def test_an_anchor_given_twice_is_the_later_one_from_there_on(
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert parse_scalar("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]
    assert not recwarn.list
