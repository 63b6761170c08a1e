"""The object cache: content decides, damage heals, and what fails says so."""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.setup.programs import ProgramError
from tests.tuning.fakes import OPERATOR, FakeLibrary
from tuning.compile import ObjectCache, is_whole, toolchain
from tuning.space import OUT_OF_BUDGET
from tuning.templates.base import Source

LIBRARY = FakeLibrary()
TINY = Source('extern "C" int seven() { return 7; }\n', "g++", ("-shared", "-fPIC"))


def script(path: Path, body: str) -> str:
    """Return the path of a made-up compiler."""
    version = 'if [ "$1" = --version ]; then echo "fake 1.0"; exit 0; fi'
    path.write_text(f"#!/bin/sh\n{version}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_second_time_costs_nothing(tmp_path):
    cache = ObjectCache(tmp_path)
    first = cache.compile([TINY])[0]
    assert first.seconds > 0
    assert first.path is not None
    assert is_whole(first.path)
    again = ObjectCache(tmp_path).compile([TINY, TINY])
    assert [(made.path, made.seconds) for made in again] == [(first.path, 0.0)] * 2


def test_text_flags_and_compiler_make_different_objects(tmp_path):
    cache = ObjectCache(tmp_path)
    other = script(tmp_path / "cc", "exit 1")
    sources = [
        TINY,
        replace(TINY, text=TINY.text + "//"),
        replace(TINY, flags=("-O2", *TINY.flags)),
        replace(TINY, compiler=other),
    ]
    assert len({cache.path_of(source) for source in sources}) == len(sources)


def test_one_source_that_fails_does_not_stop_the_others(tmp_path):
    broken = replace(TINY, text="int f() { return nothing_of_the_kind; }\n")
    good, bad = ObjectCache(tmp_path).compile([TINY, broken])
    assert good.path is not None
    assert bad.path is None
    assert "nothing_of_the_kind" in bad.message
    assert "exit code 1" in bad.message
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".making")] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'unit.cpp:1: error: I refuse' >&2; exit 1", "I refuse"),
        ("kill -SEGV $$", "exit code -11"),
        ("exit 0", "no object"),
        ("for last; do :; done; echo not-elf > $last; exit 0", "no object"),
        ("echo 'fatal error: error writing: No space left on device' >&2; exit 1", "No space left"),
        ("yes error | head -c 1000000 >&2; exit 1", "error"),
        ("head -c 3000 /dev/urandom >&2; exit 1", "exit code 1"),
    ],
)
def test_a_compiler_that_goes_wrong_is_told_in_few_words(tmp_path, body, message):
    compiler = script(tmp_path / "cc", body)
    made = ObjectCache(tmp_path / "o").compile([replace(TINY, compiler=compiler)])[0]
    assert made.path is None
    assert message in made.message
    assert len(made.message) < 1000


def test_a_compiler_that_hangs_is_ended(tmp_path):
    compiler = script(tmp_path / "cc", "sleep 60")
    cache = ObjectCache(tmp_path / "o", timeout_s=0.3)
    made = cache.compile([replace(TINY, compiler=compiler)])[0]
    assert "longer than 0.3 s" in made.message


def test_a_compiler_that_says_no_version_is_refused(tmp_path):
    path = tmp_path / "mute"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    with pytest.raises(ProgramError, match="--version says nothing"):
        toolchain(str(path))
    with pytest.raises(ProgramError, match="not found"):
        toolchain("no-such-compiler")


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    made = ObjectCache(tmp_path / "file").compile([TINY])[0]
    assert made.path is None
    assert str(tmp_path / "file") in made.message


@pytest.mark.parametrize("kept", [0, 10, 64, 1000, -8])
def test_an_object_cut_short_is_compiled_anew(tmp_path, kept):
    cache = ObjectCache(tmp_path)
    path = cache.require(TINY)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert not is_whole(path)
    assert cache.compile([TINY])[0].seconds > 0
    assert path.read_bytes() == whole


def test_what_must_compile_raises_if_it_does_not(tmp_path):
    with pytest.raises(ProgramError, match="cannot compile"):
        ObjectCache(tmp_path).require(replace(TINY, text="?"))


def test_after_the_deadline_only_the_cache_answers(tmp_path):
    cache = ObjectCache(tmp_path)
    cache.compile([TINY])
    fresh = replace(TINY, text="int eight() { return 8; }\n")
    known, late = cache.compile([TINY, fresh], deadline=time.monotonic() - 1)
    assert known.path is not None
    assert (late.path, late.message) == (None, OUT_OF_BUDGET)


def test_the_cache_forgets_what_was_used_longest_ago(tmp_path):
    sources = [replace(TINY, text=f"int f{n}() {{ return {n}; }}\n") for n in range(4)]
    cache = ObjectCache(tmp_path)
    paths = [cache.require(source) for source in sources[:3]]
    for age, path in zip((300, 100, 200), paths, strict=True):
        os.utime(path, (time.time() - age, time.time() - age))
    cache.compile([sources[0]])  # used again
    limit = 3 * paths[0].stat().st_size
    newest = ObjectCache(tmp_path, most_bytes=limit).require(sources[3])
    assert sorted(tmp_path.glob("*/*.so")) == sorted([paths[0], paths[1], newest])


def test_what_a_killed_process_left_is_swept(tmp_path):
    old, young = tmp_path / ".making-old", tmp_path / ".making-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "unit.cpp").write_text("")
    os.utime(old, (0, 0))
    ObjectCache(tmp_path).compile([TINY])
    assert not old.exists()
    assert young.exists()


def test_threads_that_compile_the_same_agree(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(ObjectCache(tmp_path).require(TINY)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_a_shared_beginning_is_compiled_ahead_and_changes_nothing(tmp_path):
    begin = "#include <vector>\n#include <algorithm>\ninline int six() { return 6; }\n"
    text = begin + 'extern "C" int seven() { return six() + 1; }\n'
    plain = Source(text, "g++", TINY.flags)
    ahead = replace(plain, prelude_chars=len(begin))
    assert ahead.digest == plain.digest
    paths = [ObjectCache(tmp_path / n).require(s) for n, s in (("a", plain), ("b", ahead))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert list((tmp_path / "b").glob("preludes/*/prelude.hpp.gch"))


def test_who_waits_for_a_shared_beginning_does_not_pay_for_it(tmp_path):
    whole = ObjectCache(tmp_path / "real").require(TINY)
    compiler = script(
        tmp_path / "cc",
        f'for last; do :; done\ncase "$*" in *c++-header*) sleep 1;; esac\ncp {whole} $last',
    )
    begin = "// shared\n"
    sources = [Source(f"{begin}// {n}\n", compiler, (), len(begin)) for n in range(2)]
    made = ObjectCache(tmp_path / "o").compile(sources, jobs=2)
    assert all(one.path is not None for one in made)
    short, long = sorted(one.seconds for one in made)
    assert long >= 1.0
    assert short < long / 2


def test_a_beginning_that_does_not_compile_is_told_like_any_other_fault(tmp_path):
    source = Source("int f() { return nothing; }\n", "g++", TINY.flags, prelude_chars=10)
    made = ObjectCache(tmp_path).compile([source])[0]
    assert made.path is None
    assert "nothing" in made.message


def test_the_examples_compile(tmp_path):
    made = ObjectCache(tmp_path).compile([LIBRARY.render(OPERATOR, LIBRARY.candidate("good"))])
    assert made[0].path is not None


TALKER = 'echo "ptxas info: Used 7 registers" >&2; shift 0; for last; do :; done; cp {so} $last'


def test_a_report_is_kept_beside_its_object(tmp_path):
    whole = ObjectCache(tmp_path / "o").require(TINY)
    compiler = script(tmp_path / "cc", TALKER.format(so=whole))
    source = replace(TINY, compiler=compiler, reports=True)
    first = ObjectCache(tmp_path / "o").compile([source])[0]
    again = ObjectCache(tmp_path / "o").compile([source])[0]
    assert first.report == again.report == "ptxas info: Used 7 registers\n"
    assert (again.seconds, again.path) == (0.0, first.path)
    assert ObjectCache(tmp_path / "o").compile([replace(source, reports=False)])[0].report == ""
    assert first.path is not None
    first.path.with_suffix(".txt").unlink()  # without its report an object is not there
    once_more = ObjectCache(tmp_path / "o").compile([source])[0]
    assert once_more.seconds > 0
    assert once_more.report == first.report
    ObjectCache(tmp_path / "o").discard(source)
    assert not list((tmp_path / "o").glob("*/*.txt"))


def test_folders_and_suffix_reach_the_compiler_and_decide_nothing(tmp_path):
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "seven.h").write_text("#define SEVEN 7\n")
    text = '#include "seven.h"\n#ifndef __cplusplus\nint seven() { return SEVEN; }\n#endif\n'
    source = replace(TINY, text=text, suffix=".c", folders=(str(tmp_path / "h"),))
    cache = ObjectCache(tmp_path / "o")
    made = cache.compile([replace(source, compiler="gcc")])[0]
    assert made.path is not None, made.message
    assert cache.path_of(source) == cache.path_of(replace(source, folders=()))


def test_a_version_is_the_line_that_has_a_number(tmp_path):
    plain = tmp_path / "cc"
    plain.write_text("#!/bin/sh\necho 'nvcc: a compiler driver'\necho 'Build cuda_13.0'\n")
    plain.chmod(0o755)
    assert toolchain(str(plain)) == "Build cuda_13.0"
