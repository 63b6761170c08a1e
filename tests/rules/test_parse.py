"""What reads as what, and what is refused with which words."""

from __future__ import annotations

import pytest

from policies.rules import parse
from policies.rules.parse import parse_rule, read_rule
from policies.rules.rule import MOST_INPUTS, Rule
from policies.rules.syntax import (
    MOST_DEPTH,
    MOST_NODES,
    Binary,
    Comparison,
    If,
    Input,
    Number,
    RuleError,
    Unary,
    Variable,
)
from policies.rules.write import MOST_BYTES

EXAMPLE = """\
triptych-rule 1
name symbolic_branched
action [-1, 1]
input latency_ratio [1, 8]
input loss [0, 1]

if loss <= 0.031
then 0.5 * tanh(1.25 - latency_ratio)
else if latency_ratio < 1.2 then 1 else max(-1, 1 - latency_ratio / 2)
"""
HEAD = "triptych-rule 1\nname x\naction [-1, 1]\ninput a [0, 1]\ninput bb [-2, 2]\n"
A, B = Variable("a"), Variable("bb")


def body(text: str):
    return parse_rule(HEAD + text).body


def test_the_documented_example():
    ratio, loss = Variable("latency_ratio"), Variable("loss")
    first = Binary("*", Number(0.5), Unary("tanh", Binary("-", Number(1.25), ratio)))
    last = Binary("max", Number(-1.0), Binary("-", Number(1.0), Binary("/", ratio, Number(2.0))))
    inner = If(Comparison("<", ratio, Number(1.2)), Number(1.0), last)
    assert parse_rule(EXAMPLE) == Rule(
        "symbolic_branched",
        -1.0,
        1.0,
        (Input("latency_ratio", 1.0, 8.0), Input("loss", 0.0, 1.0)),
        If(Comparison("<=", loss, Number(0.031)), first, inner),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a - bb - 1", Binary("-", Binary("-", A, B), Number(1.0))),
        ("a / bb * 2", Binary("*", Binary("/", A, B), Number(2.0))),
        ("a + bb * 2", Binary("+", A, Binary("*", B, Number(2.0)))),
        ("(a + bb) * 2", Binary("*", Binary("+", A, B), Number(2.0))),
        ("-a * bb", Binary("*", Unary("-", A), B)),
        ("-3", Number(-3.0)),
        ("- 3", Number(-3.0)),
        ("-(3)", Unary("-", Number(3.0))),
        ("--3", Unary("-", Number(-3.0))),
        ("a - -3", Binary("-", A, Number(-3.0))),
        ("a-3", Binary("-", A, Number(3.0))),
        ("a * -bb", Binary("*", A, Unary("-", B))),
        ("min(a, -bb)", Binary("min", A, Unary("-", B))),
        ("((((a))))", A),
        ("1e3", Number(1000.0)),
        (".5", Number(0.5)),
        ("5.", Number(5.0)),
        ("1E+2", Number(100.0)),
        ("abs(if a < bb then a else bb)", Unary("abs", If(Comparison("<", A, B), A, B))),
        ("if a + 1 >= -bb then a else bb", If(
            Comparison(">=", Binary("+", A, Number(1.0)), Unary("-", B)), A, B)),
        ("if a > bb then if a < bb then 1 else 2 else 3", If(
            Comparison(">", A, B),
            If(Comparison("<", A, B), Number(1.0), Number(2.0)),
            Number(3.0))),
        ("if a > bb then 1 else 2 + 3", If(
            Comparison(">", A, B), Number(1.0), Binary("+", Number(2.0), Number(3.0)))),
        ("a # + nonsense ( \N{SNOWMAN}\n + # more\r\n\t bb#", Binary("+", A, B)),
    ],
)  # fmt: skip
def test_grammar(text, expected):
    assert body(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a +", r"6:4: expected a number, an input, a function or `\(`, found the end"),
        ("", "expected a number"),
        ("a a", "6:3: expected an operator or the end, found 'a'"),
        ("2a", "6:2: expected an operator"),
        ("b", r"6:1: unknown input 'b'; did you mean 'bb'\? \(declared: a, bb\)"),
        ("tan(a)", r"6:1: unknown function 'tan'; did you mean 'tanh'\?"),
        ("a ** 2", r"6:4: expected a number, .* found '\*'"),
        ("a ^ 2", r"6:3: '\^' has no meaning in a rule"),
        ("a\n  = 2", "7:3: '=' has no meaning"),
        ("a < 2", "6:3: a comparison stands only between `if` and `then`"),
        ("if a then 1 else 2", "6:6: expected a comparison"),
        ("if a < 1 < 2 then 1 else 2", "6:10: expected `then`, found '<'; a condition is one"),
        ("if a < 1 and bb < 2 then 1 else 2", "6:10: expected `then`, found 'and'.*nest"),
        ("if a < 1 then 1", "every `if` has an `else`"),
        ("1 + if a < 1 then 1 else 2", "6:5: a branch inside .* needs parentheses"),
        ("min(a)", "6:1: min takes 2 arguments, found 1"),
        ("abs(a, bb)", "6:1: abs takes 1 arguments, found 2"),
        ("abs a", r"6:1: expected `\(` after abs"),
        ("abs(a", r"expected `\)`, found the end"),
        ("1e101", "6:1: '1e101' is too large"),
        ("9" * 400, "is too large"),
        ("1e999", "is too large"),
        ("then", "found 'then'"),
        ("a input c [0, 1]", "`input` belongs before the expression"),
        ("a\x00", r"'\\x00' has no meaning"),
        ("\N{SNOWMAN}", r"'\\u2603' has no meaning"),
        ("exp(40 * bb) * 1e90", r"rule: `exp\(40 \* bb\) \* 1e\+90` may reach 2.4e\+107"),
    ],
)
def test_expressions_that_are_refused(text, message):
    with pytest.raises(RuleError, match=message) as caught:
        body(text)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rule:1:1: the first line must be `triptych-rule 1`, not ''"),
        ("triptych-rule 2\n", "the first line must be"),
        ("\ntriptych-rule 1\n", "the first line must be"),
        ("triptych-rule 1\naction [0, 1]", "2:1: expected `name`, found 'action'"),
        ("triptych-rule 1\nname 3", "2:6: expected a name, found '3'"),
        ("triptych-rule 1\nname x\ninput a [0, 1]", "3:1: expected `action`"),
        ("triptych-rule 1\nname x\naction 0, 1", r"expected `\[`"),
        ("triptych-rule 1\nname x\naction [0 1]", "expected `,`, found '1'"),
        ("triptych-rule 1\nname x\naction [a, 1]", "expected a number, found 'a'"),
        ("triptych-rule 1\nname x\naction [0, 1]\n3", "expected `input NAME"),
        (
            "triptych-rule 1\nname x\naction [1, 0]\ninput a [0, 1]\na",
            r"bounds \[1.0, 0.0\] of the",
        ),
        ("triptych-rule 1\nname x\naction [0, 1]\ninput a [1, 1]\na", "4:1: bounds .* of input a"),
        ("triptych-rule 1\nname x\naction [0, 1]\ninput if [0, 1]\n1", "'if' is a word of the lan"),
        ("triptych-rule 1\nname log\naction [0, 1]\ninput a [0, 1]\na", "another rule name"),
        (HEAD + "input a [0, 1]\na", "input 'a' is declared twice"),
        (HEAD + f"input {'q' * 33} [0, 1]\na", "at most 32 letters"),
    ],
)
def test_heads_that_are_refused(text, message):
    with pytest.raises(RuleError, match=message) as caught:
        parse_rule(text)
    assert len(str(caught.value).splitlines()) == 1


def test_limits_of_size():
    wide = "max(" * 5 + "a" + ", 1)" * 5
    assert body(wide).depth == 6
    assert body("+".join(["a"] * MOST_DEPTH)).depth == MOST_DEPTH
    with pytest.raises(RuleError, match="nests deeper than 32 levels"):
        body("+".join(["a"] * (MOST_DEPTH + 1)))
    with pytest.raises(RuleError, match="nests deeper"):
        body("-" * 40 + "a")
    with pytest.raises(RuleError, match="parentheses and branches are open"):
        body("(" * 5000 + "a" + ")" * 5000)
    assert body("(" * (parse.MOST_NESTING - 1) + "a" + ")" * (parse.MOST_NESTING - 1)) == A
    chain = "if a < 1 then 1 else " * 30
    assert body(chain + "0").depth == MOST_DEPTH
    with pytest.raises(RuleError, match="nests deeper"):
        body(chain + "if a < 1 then 1 else 0")
    with pytest.raises(RuleError, match="branches are open"):
        body("if a < 1 then 1 else " * 1000 + "0")


def balanced(count: int) -> str:
    if count == 1:
        return "a"
    return f"({balanced(count // 2)} + {balanced(count - count // 2)})"


def test_limit_of_nodes():
    most = (MOST_NODES + 1) // 2  # a sum of n terms has 2 n - 1 nodes
    assert body(balanced(most)).size == 2 * most - 1
    with pytest.raises(RuleError, match="more than 2000 operations, numbers and inputs"):
        body(balanced(most + 1))
    tree: Binary | Variable = A
    for _ in range(11):
        tree = Binary("min", tree, tree)
    with pytest.raises(RuleError, match="4095 nodes; a rule has at most 2000"):
        Rule("x", 0.0, 1.0, (Input("a", 0.0, 1.0),), tree)


def test_limit_of_inputs():
    many = tuple(Input(f"a{n}", 0.0, 1.0) for n in range(MOST_INPUTS + 1))
    assert Rule("x", 0.0, 1.0, many[1:], Number(0.5)).inputs[0].name == "a1"
    for wrong in (many, ()):
        with pytest.raises(RuleError, match="a rule declares 1 to 256"):
            Rule("x", 0.0, 1.0, wrong, Number(0.5))


def test_nodes_that_cannot_be_made():
    with pytest.raises(RuleError, match="not finite"):
        Number(float("nan"))
    with pytest.raises(RuleError, match=r"unknown operation 'cos' \(known: -, abs"):
        Unary("cos", A)
    with pytest.raises(RuleError, match="unknown operation 'mim'; did you mean 'min'"):
        Binary("mim", A, A)
    with pytest.raises(RuleError, match="unknown operation '=='"):
        Comparison("==", A, A)
    with pytest.raises(RuleError, match="letters, digits and underscores"):
        Variable("a b")
    with pytest.raises(RuleError, match="bounds"):
        Input("a", float("nan"), 1.0)
    with pytest.raises(RuleError, match="unknown input 'bb'"):
        Rule("x", 0.0, 1.0, (Input("a", 0.0, 1.0),), B)


def test_files(tmp_path):
    path = tmp_path / "one.rule"
    path.write_bytes(EXAMPLE.replace("\n", "\r\n").encode())
    assert read_rule(path) == parse_rule(EXAMPLE)
    path.write_bytes(EXAMPLE.encode() + b"# \xff")
    with pytest.raises(RuleError, match=r"one\.rule: byte \d+ is not UTF-8"):
        read_rule(path)
    path.write_bytes(EXAMPLE.encode().ljust(MOST_BYTES))
    assert read_rule(path) == parse_rule(EXAMPLE)
    path.write_bytes(b"\xff" * (MOST_BYTES + 1))
    with pytest.raises(RuleError, match="longer than 65536 bytes"):
        read_rule(path)
    path.write_text(EXAMPLE + "1")
    with pytest.raises(RuleError, match=r"one\.rule:10:1: expected an operator"):
        read_rule(path)
    with pytest.raises(FileNotFoundError):
        read_rule(tmp_path / "none.rule")


def test_text_beyond_the_limit_or_with_half_a_character():
    with pytest.raises(RuleError, match="longer than"):
        parse_rule(HEAD + "a #" + "\N{SNOWMAN}" * (MOST_BYTES // 2))
    assert parse_rule(HEAD + "a # \ud800").body == A
    with pytest.raises(RuleError, match=r"'\\ud800' has no meaning"):
        parse_rule(HEAD + "a \ud800")
