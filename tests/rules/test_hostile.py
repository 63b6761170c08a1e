"""Damaged rule texts: each is a sound rule, or ends in one line that says what is wrong."""

from __future__ import annotations

import math
import random

import pytest

from policies.rules.evaluate import evaluate
from policies.rules.parse import parse_rule, read_rule
from policies.rules.program import compile_rule
from policies.rules.simplify import simplify
from policies.rules.syntax import RuleError
from policies.rules.write import text_of
from tests.rules.random_rules import SPECIALS, many_rules
from tests.rules.test_parse import EXAMPLE

SHARDS = 4
PER_SHARD = 2500
TEXTS = [EXAMPLE, *(text_of(rule) for rule in many_rules(12, seed=3))]
PIECES = [
    *("1e308", "-1e400", "9" * 400, "1e-320", "0x10", "nan", "inf", "1_000", "1e", "1.2.3", "..1"),
    *("(" * 300, "((a))" * 40, ")" * 300, "-" * 200, "if " * 90, "else if ", "exp(" * 40, "[" * 50),
    *("if", "then", "else", "and", "input", "name", "action", "min(", "tanh(", ",", "]", "#", "\n"),
    *(
        "\x00",
        "\ufeff",
        "\u2028",
        "\U0001f600",
        "\r",
        "\t",
        "\\",
        '"',
        "__import__('os')",
        ";",
        "%",
    ),
    *("input loss [0, 1]\n", "input x [-1e100, 1e100]\n", "triptych-rule 1\n", "+ 1 " * 40),
    *("1e100 * ", "* 1e99 / 1e-99", "- exp(exp(exp(loss)))", "ratio " * 500, "a" * 70_000),
]


def piece(text: str, luck: random.Random) -> str:
    a, b = sorted(luck.randrange(len(text) + 1) for _ in range(2))
    return text[a : min(b, a + 60)]


def mutated(luck: random.Random) -> bytes:
    """Return a valid text, changed in one to four places, some of them inside a character."""
    text = luck.choice(TEXTS)
    for _ in range(luck.choice((1, 1, 2, 4))):
        at = luck.randrange(len(text) + 1)
        kind = luck.randrange(8)
        if kind == 0:
            text = text[:at] + luck.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + luck.randrange(1, 12) :]
        elif kind == 2:
            text = text[:at] + piece(text, luck) * luck.choice((1, 2, 50)) + text[at:]
        elif kind == 3:
            lines = text.split("\n")
            lines.insert(luck.randrange(len(lines)), luck.choice(lines))
            text = "\n".join(lines)
        elif kind == 4:
            text = text[:at] + chr(luck.choice((luck.randrange(128), luck.randrange(0xD7FF))))
            text += text[at : at + 400]
        elif kind == 5:
            text = text[:at] if luck.random() < 0.3 else text.replace(luck.choice("()-*,0"), "", 1)
        else:  # often still a rule
            text = text[:60] + text[60:].replace(
                luck.choice("0123456789.+*/"), luck.choice("0129+*/-"), 1
            )
    data = bytearray(text.encode())
    for _ in range(luck.choice((0, 0, 1, 3))):
        if data:
            data[luck.randrange(len(data))] ^= 1 << luck.randrange(8)
    return bytes(data)


@pytest.mark.parametrize(
    "shard", [0, *(pytest.param(s, marks=pytest.mark.extensive) for s in range(1, SHARDS))]
)
def test_damaged_texts_are_refused_in_one_line_or_are_safe(shard, tmp_path):
    luck = random.Random(f"rules {shard}")
    path = tmp_path / "odd.rule"
    sound = 0
    for _ in range(PER_SHARD):
        path.write_bytes(mutated(luck))
        try:
            rule = read_rule(path)
        except RuleError as error:
            message = str(error)
            assert message.startswith(f"{path}:"), message
            assert len(message.splitlines()) == 1
            assert len(message) < 600 + len(str(path))
            continue
        sound += 1
        small = simplify(rule)
        for _ in range(4):
            inputs = {i.name: luck.choice((luck.uniform(i.low, i.high), *SPECIALS)) for i in
                      rule.inputs}  # fmt: skip
            value = evaluate(rule, inputs)
            assert math.isfinite(value)
            assert rule.low <= value <= rule.high
            assert evaluate(small, inputs) == value
        assert parse_rule(text_of(rule)) == rule
        assert len(compile_rule(rule)) < 10_000
    assert PER_SHARD // 50 < sound < PER_SHARD // 2


def test_texts_of_the_worst_size_end_soon():
    head = "triptych-rule 1\nname x\naction [0, 1]\n"
    declared = "".join(f"input a{n} [0, 1]\n" for n in range(256))
    for body in (
        "(" * 60_000,
        "-" * 60_000,
        "a0 + " * 12_000,
        "min(" * 15_000,
        "if a0 < " * 7_000,
        "9" * 60_000,
        "a0 " * 20_000,
        "#" * 60_000,
        " " * 60_000,
        "1e" + "9" * 50_000,
        "q" * 60_000,
    ):
        with pytest.raises(RuleError):
            parse_rule(head + "input a0 [0, 1]\n" + body)
    with pytest.raises(RuleError, match="2000 operations"):
        parse_rule(head + declared + "max(" + ", ".join(["a0 + (a255)"] * 3000) + ")")
    with pytest.raises(RuleError, match="a rule declares 1 to 256"):
        parse_rule(head + declared + "input b [0, 1]\na0")
