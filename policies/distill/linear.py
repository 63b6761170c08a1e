"""The linear rule: least squares on few inputs, chosen one after the other, for comparison.

What a linear function of a few inputs cannot repeat of the teacher is what branches and products
are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.distill.regression import finished, samples, standard
from policies.distill.sums import Sum
from policies.rules.syntax import Expression, Variable
from sim.net.problems import number, whole

PART = "linear_rule"
MOST_TERMS = 24
"""A term costs two operations, so that this many stay below 60."""
RIDGE = 1e-6
WORTH = 1e-3
DIGITS = 4

Values = NDArray[np.float64]


def linear_rule(
    inputs: ArrayLike,
    names: Sequence[str],
    actions: ArrayLike,
    ridge: float = RIDGE,
    *,
    most_terms: int = MOST_TERMS,
    worth: float = WORTH,
    digits: int = DIGITS,
) -> Expression:
    """Return a weighted sum of inputs that imitates actions, in the inputs' own units.

    Inputs are taken one by one, always the one that leaves the least mean squared error, by ridge
    regression on standardised inputs. An input whose coefficient does not matter is left out:
    taking stops where the best one left lowers the error by less than `worth` times the variance
    of the actions; where none is worth it the rule is a constant. The intercept makes up for what
    rounding does to the mean.

    Args:
        inputs: [rows, k].
        names: of the k columns, inputs of `rule_inputs`.
        actions: [rows], to imitate.
        ridge: penalty on squared coefficients, in units of the mean squared error; 0: none.
        most_terms: inputs taken at most.
        worth: share of the variance that a term must explain.
        digits: significant digits of the numbers.

    Raises:
        ValueError: a setting or a value is out of place; the message names it.
    """
    number(PART, "ridge", ridge)
    whole(PART, "most_terms", most_terms, 1, 30)
    number(PART, "worth", worth, below=1.0)
    whole(PART, "digits", digits, 1, 17)
    given = samples(inputs, names, actions)
    shape = standard(given)
    table, mean = shape.of(given.inputs), given.actions.mean()
    wanted = given.actions - mean
    products, answers = table.T @ table / len(table), table.T @ wanted / len(table)
    variance = float(np.mean(wanted**2))
    taken, weights = selected(products, answers, variance, ridge, most_terms, worth)
    places = np.array(taken, np.intp)
    slopes = [float(f"{slope:.{digits}g}") for slope in weights / shape.scale[places]]
    offset = round(float(mean - np.dot(slopes, shape.mean[places])), 9)  # 1e-17 is nothing
    terms = zip((Variable(shape.names[place]) for place in places), slopes, strict=True)
    return finished(Sum(offset, dict(terms)).expression(), digits).body


def selected(
    products: Values, answers: Values, variance: float, ridge: float, most: int, worth: float
) -> tuple[list[int], Values]:
    """Return the columns that forward selection takes, in its order, and their coefficients.

    Args:
        products: float64[k, k], means of products of two columns.
        answers: float64[k], means of products of a column and what is to be explained.
        variance: mean square of what is to be explained.
        ridge: penalty.
        most: columns taken at most.
        worth: share of the variance that each must explain.
    """
    taken: list[int] = []
    weights, error = np.zeros(0), variance
    while len(taken) < min(most, len(answers)):
        tried = []
        for place in range(len(answers)):
            if place not in taken:
                found, left = _solved(products, answers, variance, ridge, [*taken, place])
                tried.append((left, place, found))
        least, place, found = min(tried, key=lambda one: one[:2])
        if error <= least or error - least < worth * variance:
            break
        taken, weights, error = [*taken, place], found, least
    return taken, weights


def _solved(
    products: Values, answers: Values, variance: float, ridge: float, places: list[int]
) -> tuple[Values, float]:
    """Return the coefficients of these columns, and the mean squared error that they leave."""
    square, right = products[np.ix_(places, places)], answers[places]
    penalised = square + ridge * np.eye(len(places))
    weights = np.asarray(np.linalg.lstsq(penalised, right, rcond=1e-12)[0], np.float64)
    error = variance - 2.0 * weights @ right + weights @ square @ weights
    return weights, max(float(error), 0.0)
