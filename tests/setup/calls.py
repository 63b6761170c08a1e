"""Finds the external programs that sources, the Makefile and scripts call by literal names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CALLERS = {"run_program", "find_program", "which"}
COREUTILS = {"true", "sleep"}  # in every Debian system
SUBPROCESS = {"run", "Popen", "call", "check_call", "check_output"}
OS = {"execv", "execve", "execvp", "execlp", "execl", "spawnv", "posix_spawn", "system", "popen"}
SHELL_WORDS = {
    *("if", "then", "else", "elif", "fi", "for", "do", "done", "while", "case", "esac", "in"),
    *("cd", "set", "export", "echo", "exit", "printf", "test", "[", "[[", "exec", "pwd", "true"),
}


def _starts_program(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name):
            return name in CALLERS
        case ast.Attribute(value=ast.Name(id="subprocess"), attr=name):
            return name in SUBPROCESS
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in OS
        case ast.Attribute(attr=name):
            return name in CALLERS or name.startswith("create_subprocess")
    return False


def _first_literal(node: ast.expr | None) -> str | None:
    match node:
        case ast.Constant(value=str(name)):
            return name
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
            return _first_literal(first)
    return None


def _lists_of(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """Return variable -> what it is assigned or loops over, so `command = [...]` counts."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.For(target=ast.Name(id=name), iter=ast.Tuple(elts=values)):
                found.setdefault(name, []).extend(values)
    return found


def called_in_python(source: str, filename: str = "<source>") -> set[str]:
    """Return the programs that a module calls by a literal name."""
    tree = ast.parse(source, filename)
    variables = _lists_of(tree)
    found: set[str | None] = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _starts_program(node)):
            continue
        args = node.args or [k.value for k in node.keywords if k.arg == "args"]
        for value in variables.get(args[0].id, []) if isinstance(args[0], ast.Name) else args[:1]:
            found.add(_first_literal(value))
    return {name for name in found if name and "/" not in name} - COREUTILS


def _commands(line: str) -> Iterator[str]:
    for part in re.split(r"&&|\|\||[;|]|\$\(", re.sub(r"'[^']*'|\"\$?\{[^\"]*\"", "''", line)):
        words = part.split()
        while words and (re.match(r"\w+=", words[0]) or words[0] in {"if", "then", "do", "else"}):
            words.pop(0)
        if words:
            yield words[0].lstrip("@-")


def called_in_shell(text: str) -> set[str]:
    """Return the programs that lines of shell call; paths and make's variables are ours."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    words = {word for line in lines for word in _commands(line)}
    return {w for w in words - SHELL_WORDS if re.fullmatch(r"[a-z][\w.+-]*", w)}


def called_in_makefile(text: str) -> set[str]:
    """Return the programs that the recipes of a Makefile call, with the Python of `PYTHON`."""
    recipes = "\n".join(line[1:] for line in text.splitlines() if line.startswith("\t"))
    defaults = set(re.findall(r"^\w+ \?= (python3)$", text, flags=re.MULTILINE))
    return called_in_shell(recipes) | defaults


def called_by_project(root: Path, packages: tuple[str, ...]) -> dict[str, set[str]]:
    """Return program -> files of the checkout that call it."""
    calls: dict[str, set[str]] = {}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            for name in called_in_python(path.read_text(encoding="utf-8"), str(path)):
                calls.setdefault(name, set()).add(str(path.relative_to(root)))
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    interpreter = {script.splitlines()[0].split()[-1]}
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for name in called_in_makefile(makefile):
        calls.setdefault(name, set()).add("Makefile")
    for name in called_in_shell(script) | interpreter:
        calls.setdefault(name, set()).add(".ci/run")
    return calls
