"""Sequences of kernels against each other, in a process of their own, turn by turn."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from experiments.paths import ROOT
from experiments.setup.programs import ProgramTimeoutError, run_program
from tuning.compile import ObjectCache
from tuning.decide.copying import copy_text
from tuning.decide.ratio import Ratio, ratio_of
from tuning.decide.stages import CopyStage, KernelStage, Stage
from tuning.operators import Operator
from tuning.profile import ProfileSettings, TooLargeError, measuring
from tuning.profile.lifeline import own_variable
from tuning.profile.memory import wanted_output
from tuning.profile.stopwatch import evict_text
from tuning.templates.base import Source, TemplateLibrary

FLAGS = ("-std=c++17", "-O3", "-fopenmp", "-fPIC", "-shared")

_MOST_DISTURBED = 0.5
_STARTING_S = 60.0
_TURNS = 4
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Raced:
    """The times of a race.

    Attributes:
        samples: entrant -> per launch, nanoseconds per round; all entrants have the same rounds.
        disturbed: share of rounds in which other processes took cores away.
    """

    samples: dict[str, list[list[float]]]
    disturbed: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether so many rounds were disturbed that nothing should be decided by them."""
        return self.disturbed > _MOST_DISTURBED

    def ratio(self, old: str, new: str) -> Ratio:
        """Return the time of one entrant over another's."""
        return ratio_of(self.samples[old], self.samples[new])

    def median_ns(self, name: str) -> float:
        """Return the median of an entrant over all launches."""
        return median(t for launch in self.samples[name] for t in launch)


class RaceError(RuntimeError):
    """The race has no times: a kernel did not compile, crashed, hung, or gave other numbers."""


class Race:
    """Runs sequences side by side.

    Args:
        library: renders the kernels.
        settings: as for the profiler; `samples` is the number of rounds of one launch.
        objects: where compiled kernels are kept.
        launches: processes, one after another; memory comes to lie differently in each.
    """

    def __init__(
        self,
        library: TemplateLibrary,
        settings: ProfileSettings,
        objects: ObjectCache | None = None,
        launches: int = 2,
    ) -> None:
        if launches < 1:
            raise ValueError(f"launches: {launches} is not positive")
        self.library, self.settings, self.launches = library, settings, launches
        self.objects = objects or ObjectCache()

    def run(
        self,
        base: Operator,
        stages: Sequence[Stage],
        entrants: Mapping[str, Sequence[int]],
        equal: Sequence[str],
    ) -> Raced:
        """Return the times of all entrants.

        Args:
            base: its random operands are what stages read.
            stages: built once each, in this order.
            entrants: name -> indices of its stages, which run back to back.
            equal: entrants whose outputs must agree, the first's with the reference.

        Raises:
            RaceError: there are no times; the message says why.
        """
        request = {
            "base": base.to_dict(),
            "stages": self._plain(stages),
            "entrants": {name: list(indices) for name, indices in entrants.items()},
            "equal": list(equal),
            "settings": self.settings.to_dict(),
            "clock": self._compile([clock_source()])[0],
            "evict_bytes": self.settings.evict_bytes(self.library.device.l3_bytes),
        }
        with TemporaryDirectory(prefix="triptych-race-") as folder:
            request["wanted"] = str(self._publish(base, Path(folder)))
            with measuring():
                answers = [self._launch(request) for _ in range(self.launches)]
        found = {name: [answer["samples"][name] for answer in answers] for name in entrants}
        rounds = sum(len(launch) for launch in next(iter(found.values())))
        return Raced(found, sum(answer["disturbed"] for answer in answers) / rounds)

    def _plain(self, stages: Sequence[Stage]) -> list[dict[str, Any]]:
        kernels = [stage for stage in stages if isinstance(stage, KernelStage)]
        sources = [self.library.render(stage.operator, stage.candidate) for stage in kernels]
        paths = iter(self._compile(sources))
        return [
            stage.to_dict() if isinstance(stage, CopyStage) else stage.to_dict(next(paths))
            for stage in stages
        ]

    def _compile(self, sources: list[Source]) -> list[str]:
        paths = []
        for made in self.objects.compile(sources):
            if made.path is None:
                raise RaceError(f"cannot compile: {made.message[:_LONGEST_MESSAGE]}")
            paths.append(str(made.path))
        return paths

    def _publish(self, base: Operator, folder: Path) -> Path:
        """Write the reference's output, and return where."""
        path = folder / "wanted.npy"
        try:
            np.save(path, wanted_output(base, self.settings.seed))
        except (TooLargeError, OSError) as error:
            raise RaceError(f"no reference to compare with: {error}") from None
        return path

    def _launch(self, request: dict[str, Any]) -> dict[str, Any]:
        own = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": str(self.settings.threads),
            "OMP_DYNAMIC": "false",
            "OPENBLAS_NUM_THREADS": "1",
            **own_variable(),
        }
        try:
            done = run_program(
                [sys.executable, "-m", "tuning.decide.racer"],
                stdin=json.dumps(request),
                env=own,
                timeout_s=_STARTING_S + _TURNS * self.settings.timeout_s,
                check=False,
            )
        except ProgramTimeoutError as error:
            raise RaceError(str(error)) from None
        if done.returncode != 0:
            last = done.stderr.strip().rpartition("\n")[2][:_LONGEST_MESSAGE]
            raise RaceError(f"the process ended with code {done.returncode}: {last}")
        answer = json.loads(done.stdout)
        if "message" in answer:
            raise RaceError(f"numbers differ: {answer['message']}")
        return answer


def clock_source() -> Source:
    """Return the source of what calls sequences, of the copy, and of what evicts caches."""
    text = (Path(__file__).parent / "sequence.cpp").read_text(encoding="utf-8")
    return Source(text + copy_text() + evict_text(), "g++", FLAGS)
