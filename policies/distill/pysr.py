"""Symbolic regression by PySR, where Julia is: the authors' group used it for such rules.

(VITA-Group/Symbolic-Learning-To-Optimize, ICLR 2022.) Equations come as text and are read by a
small parser of its own; what the language of rules has no operation for is refused. PySR: Cranmer,
"Interpretable machine learning for science with PySR and SymbolicRegression.jl", 2023.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.distill.equations import BINARY, UNARY, sum_of_equation
from policies.distill.fronts import Front
from policies.distill.regression import front_of, samples, standard
from policies.rules.syntax import shown
from sim.net.problems import ScenarioError, number, whole
from sim.streams import stream

PART = "PysrSettings"
JULIA = ("PYTHON_JULIACALL_EXE", "PYTHON_JULIAPKG_EXE")
"""Variables of the environment that may say where Julia is."""


class JuliaMissingError(RuntimeError):
    """PySR cannot run here; the message says what to install."""


@dataclass(frozen=True)
class PysrSettings:
    """Parameters of a search.

    Attributes:
        binary: operators of two arguments.
        unary: functions of one argument.
        iterations: of the outer loop.
        populations: that evolve apart.
        population: expressions of each.
        most_size: nodes of an expression.
        most_depth: levels of an expression.
        parsimony: what a node costs, in units of the error.
        held_out: share of the links whose rows only measure.
        centre: whether inputs are brought to mean 0; otherwise they are only scaled.
        digits: significant digits of a rule's numbers.
    """

    binary: tuple[str, ...] = ("+", "-", "*", "/", "min", "max", "greater")
    unary: tuple[str, ...] = ("tanh", "abs", "relu", "square")
    iterations: int = 40
    populations: int = 15
    population: int = 33
    most_size: int = 40
    most_depth: int = 10
    parsimony: float = 0.0
    held_out: float = 0.25
    centre: bool = False
    digits: int = 4

    def check(self) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        for field, known in (("binary", BINARY), ("unary", UNARY)):
            for name in getattr(self, field):
                if name not in known:
                    told = ", ".join(known)
                    raise ScenarioError(f"{PART}: {field} has {shown(str(name))} (known: {told})")
        whole(PART, "operators in binary", len(self.binary), 1)
        whole(PART, "iterations", self.iterations, 1, 10**6)
        whole(PART, "populations", self.populations, 1, 1000)
        whole(PART, "population", self.population, 15, 10**5)
        whole(PART, "most_size", self.most_size, 7, 200)
        whole(PART, "most_depth", self.most_depth, 2, 30)
        whole(PART, "digits", self.digits, 1, 17)
        number(PART, "parsimony", self.parsimony)
        number(PART, "held_out", self.held_out, above=0.0, below=1.0)
        if not isinstance(self.centre, bool):
            raise ScenarioError(f"{PART}: centre must be true or false, got {self.centre!r}")


def pysr_front(
    inputs: ArrayLike,
    names: Sequence[str],
    actions: ArrayLike,
    settings: PysrSettings,
    seed: int,
    links: ArrayLike | None = None,
) -> Front:
    """Return the Pareto front of rules that PySR finds; the same arguments give the same front.

    Args:
        inputs: [rows, k].
        names: of the k columns, inputs of `rule_inputs`.
        actions: [rows], to imitate.
        settings: of the search.
        seed: of the search, and of the choice of links to hold out.
        links: int [rows], on which link each row was seen; None: each row counts as a link.

    Raises:
        ValueError: a setting or a value is out of place, or no equation can be written as a rule.
        JuliaMissingError: PySR or Julia is not here.
    """
    settings.check()
    luck = stream(seed, {}, "links held out of the regression")
    fit, held_out = samples(inputs, names, actions, links).split(settings.held_out, luck)
    shape = standard(fit, settings.centre)
    check_julia()
    state = int(stream(seed, {}, "pysr").integers(1 << 31))
    equations = search(shape.of(fit.inputs), fit.actions, settings, state)
    columns = {f"x{place}": column for place, column in enumerate(shape.sums())}
    return front_of(
        equations, lambda text: sum_of_equation(text, columns), fit, held_out, settings.digits
    )


def check_julia() -> None:
    """Check that PySR can run, without importing it: without Julia it would go and fetch one.

    Raises:
        JuliaMissingError: it cannot.
    """
    given = [os.environ[name] for name in JULIA if os.environ.get(name)]
    if not any(shutil.which(path) for path in (*given, "julia")):
        raise JuliaMissingError(
            "PySR needs Julia, which is not here: install Julia 1.10 from julialang.org, or use "
            "PyOperon (operon_front)"
        )
    if importlib.util.find_spec("pysr") is None:
        raise JuliaMissingError(
            "PySR is not installed: python3 -m experiments.setup venv --extras symbolic"
        )


def search(
    table: NDArray[np.float64], actions: NDArray[np.float64], settings: PysrSettings, state: int
) -> list[str]:
    """Return the equations of PySR's front, in variables x0, x1, ...

    Args:
        table: [rows, columns], standardised.
        actions: [rows].
        settings: of the search.
        state: seed of its generators.
    """
    from pysr import PySRRegressor

    regressor: Any = PySRRegressor(
        binary_operators=list(settings.binary),
        unary_operators=list(settings.unary),
        niterations=settings.iterations,
        populations=settings.populations,
        population_size=settings.population,
        maxsize=settings.most_size,
        maxdepth=settings.most_depth,
        parsimony=settings.parsimony,
        precision=64,
        parallelism="serial",
        deterministic=True,
        random_state=state,
        progress=False,
        verbosity=0,
        temp_equation_file=True,
        delete_tempfiles=True,
    )
    regressor.fit(table, actions)
    return [str(text) for text in regressor.equations_["equation"]]
