"""Every command and every piece of Python in README and docs runs, or at least parses.

Commands share folders of results and figures, so that one finds what another has computed.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from experiments.cli import app
from experiments.manifest import Claim, Manifest, Size
from experiments.paths import PACKAGES, ROOT
from experiments.yaml_source import load_yaml
from tests.docs.blocks import OTHERS, PAGES, PYTHON, SHELL, all_blocks, blocks_of, commands_of

WRONG = typer.BadParameter.__mro__[1]  # errors of usage; typer does not export their base
ACTIVATE = "source .venv/bin/activate"
TRIPTYCH = ("triptych", ".venv/bin/triptych")
INTERPRETERS = ("python", "python3", ".venv/bin/python")
SHELL_BLOCKS = list(all_blocks(*SHELL))
PYTHON_BLOCKS = list(all_blocks(*PYTHON))
READ_BY_COMMANDS = ("docs/tutorial-serving.md",)
FILES = [block for block in PYTHON_BLOCKS if block.text.startswith('"""')]
SNIPPETS = [block for block in PYTHON_BLOCKS if block not in FILES]
RUN = {
    command.removeprefix(".venv/bin/"): block
    for block in reversed(SHELL_BLOCKS)
    for command in commands_of(block.text)
    if block.is_run(command) and command != ACTIVATE
}
"""Commands to run, each once though two pages have it, and the first of these."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of all commands: folders of their own for what they write.

    What the commands of a page read, its Python has written by then.
    """
    home = tmp_path_factory.mktemp("pages")
    places = {f"TRIPTYCH_{name}": str(home / name.lower()) for name in ("RESULTS", "BUILD")}
    environment = os.environ | places | {"PYTHONPATH": str(ROOT)}
    for page in READ_BY_COMMANDS:
        path = home / f"{Path(page).stem}.py"
        path.write_text(snippets_of(page))
        finish([sys.executable, str(path)], ROOT, environment)
    return environment


def snippets_of(page: str) -> str:
    """Return the Python of a page as one file, in which lines have their numbers of the page."""
    lines: list[str] = []
    for block in (block for block in SNIPPETS if block.page == page and block.is_run()):
        lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


def finish(words: list[str], where: Path, environment: dict[str, str]) -> str:
    """Run a command to a good end and return what it printed."""
    done = subprocess.run(
        words, cwd=where, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.extensive
@pytest.mark.parametrize("command", RUN)
def test_commands_run(command: str, shared: dict[str, str]) -> None:
    words = shlex.split(command)
    if words[0] in TRIPTYCH:
        words = [sys.executable, "-m", "experiments.cli", *words[1:]]
    elif words[0] in INTERPRETERS:
        words = [sys.executable, *words[1:]]
    assert finish(words, ROOT, shared).strip(), "prints nothing"


@pytest.mark.extensive
@pytest.mark.parametrize(
    "block", [b for b in all_blocks("text") if b.printed_by], ids=lambda b: b.name
)
def test_what_pages_show_is_what_is_printed(block, shared: dict[str, str]) -> None:
    words = [sys.executable, "-m", "experiments.cli", *shlex.split(block.printed_by)[1:]]
    printed = {" ".join(line.split()) for line in finish(words, ROOT, shared).splitlines()}
    wanted = [" ".join(line.split()) for line in block.text.splitlines() if line.strip()]
    assert [line for line in wanted if line not in printed] == []


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=lambda block: block.name)
def test_commands_exist_and_take_their_options(block) -> None:
    for command in commands_of(block.text):
        words = shlex.split(command)
        if command == ACTIVATE or (is_foreign(words) and not block.is_run(command)):
            continue
        if words[0] in TRIPTYCH:
            parse_triptych(words[1:])
        elif words[0] == "make":
            check_targets(words[1:])
        elif words[:1] == ["pip"]:
            check_extras(command)
        else:
            assert words[0] in INTERPRETERS, command
            check_module(words[1:])


def is_foreign(words: list[str]) -> bool:
    """Return whether a command is none of the project's, such as one for another machine."""
    if words[0] in INTERPRETERS and words[1:2] == ["-m"]:
        return words[2].split(".")[0] not in (*PACKAGES, "tests")
    return words[0] not in (*TRIPTYCH, *INTERPRETERS, "make", "pip")


@pytest.mark.parametrize("block", list(all_blocks("console")), ids=lambda block: block.name)
def test_sessions_show_commands_that_parse(block) -> None:
    """Sessions are shown with what they print; `#` or `$` stands before what is typed."""
    typed = [line[2:] for line in block.text.splitlines() if line[:2] in ("# ", "$ ")]
    assert typed
    for words in map(shlex.split, typed):
        if words[0] in TRIPTYCH:
            parse_triptych(words[1:])


@pytest.mark.parametrize("block", list(all_blocks("yaml")), ids=lambda block: block.name)
def test_yaml_is_read_as_manifests_are(block, tmp_path: Path) -> None:
    path = tmp_path / "part.yaml"
    path.write_text(block.text)
    values, _ = load_yaml(path)
    assert set(values) <= {*Manifest.model_fields, *Claim.model_fields, *Size.model_fields}


def parse_triptych(words: list[str]) -> None:
    """Parse a command line as `triptych` does, without doing it; `WRONG` is what it may raise."""
    command, context = typer.main.get_command(app), None
    while isinstance(command, TyperGroup):
        context = command.make_context(command.name, list(words), parent=context)
        name, command, words = command.resolve_command(context, [words[0], *words[1:]])
        assert command is not None, name
    command.make_context(command.name, list(words), parent=context)


def check_targets(words: list[str]) -> None:
    """Check that the Makefile has these targets."""
    text = (ROOT / "Makefile").read_text()
    for target in (word for word in words if "=" not in word):
        assert re.search(rf"^{re.escape(target)}:", text, re.M), f"make {target}"


def check_extras(command: str) -> None:
    """Check that the project has the extras that an installation names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.search(r"\.\[([\w,]+)\]", command)
    assert named is not None, command
    assert set(named[1].split(",")) <= set(project["optional-dependencies"]), command


@functools.cache
def help_of(*words: str) -> str:
    """Return what `python -m words --help` prints."""
    return finish([sys.executable, "-m", *words, "--help"], ROOT, dict(os.environ))


def check_module(words: list[str]) -> None:
    """Check that a module is a command, and that its help knows the options and the choice."""
    assert words[0] == "-m", words
    told = [word for word in words[2:] if word.startswith("--")]
    told += [word for word in words[2:3] if word.isidentifier()]
    chosen = len(words) > 3 and not words[2].startswith("-")
    text = help_of(*words[1:3]) if chosen else help_of(words[1])
    for word in told:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), f"{words[1]}: {word}"


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=lambda block: block.name)
def test_python_compiles(block) -> None:
    ast.parse(block.text, block.name)


@pytest.mark.extensive
@pytest.mark.parametrize("block", FILES, ids=lambda block: block.name)
def test_files_run_on_their_own(block, shared: dict[str, str], tmp_path: Path) -> None:
    for rule in (ROOT / "docs" / "examples").glob("*.rule"):
        shutil.copy(rule, tmp_path)
    path = tmp_path / "example.py"
    path.write_text(block.text)
    finish([sys.executable, str(path)], tmp_path, shared)


@pytest.mark.extensive
@pytest.mark.parametrize("page", sorted({block.page for block in SNIPPETS if block.is_run()}))
def test_snippets_run_page_by_page(page: str, shared: dict[str, str], tmp_path: Path) -> None:
    """One after another, each in the namespace that the ones before have left."""
    path = tmp_path / f"{Path(page).stem.replace('-', '_')}_md.py"
    path.write_text(snippets_of(page))
    finish([sys.executable, str(path)], ROOT, shared)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_are_well_formed(page: str) -> None:
    for block in blocks_of(page):
        assert block.language in (*SHELL, *PYTHON, *OTHERS), block.name
        known = commands_of(block.text) if block.language in SHELL else [""]
        for begin in block.marks:
            assert block.language in (*SHELL, *PYTHON), f"{block.name}: only parsed by nobody"
            assert any(command.startswith(begin) for command in known), f"{block.name}: {begin!r}"


def test_markers_belong_to_what_follows() -> None:
    marked = '<!-- example: only parsed "make": takes long -->\n```sh\nmake x\ntriptych list\n```\n'
    (block,) = blocks_of("page", marked)
    assert [block.is_run(command) for command in commands_of(block.text)] == [False, True]
    for text, reason in (
        ("<!-- example: only parsed: x -->\n\ntext\n", "right above"),
        ("<!-- example: only parsed: x -->\n", "at the end"),
        ("<!-- example: skipped -->\n```sh\nx\n```\n", "no marker that is known"),
        ("```sh\nmake\n", "not closed"),
    ):
        with pytest.raises(ValueError, match=reason):
            blocks_of("page", text)


def test_wrong_commands_are_found() -> None:
    for line in ("lst", "list --no-such", "reproduce x --size huge", "run"):
        with pytest.raises(WRONG):
            parse_triptych(shlex.split(line))
    assert is_foreign(["scp", "x", "there:"])
    assert is_foreign(["python", "-m", "on_gpu"])
    assert not is_foreign(["python", "-m", "policies.distill.train_teacher"])
    with pytest.raises(AssertionError):
        check_targets(["no-such-target"])
    with pytest.raises(AssertionError):
        check_extras("pip install -e '.[nothing]'")
