"""The laws put to the policies of one file; `triptych conform` runs this, `make test` does not.

The file is named by the variable `TRIPTYCH_CONFORM`. It makes one class of laws per policy, called
as the policy, so that the report of the tests names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from experiments.laws import GIVEN
from experiments.own import names_in
from policies.congestion.base import CONTROLLERS, Controller
from policies.ordering.base import ORDERS
from policies.registry import load_plugin
from policies.search.base import SEARCHES
from tests.congestion import conformance as controllers
from tests.ordering import conformance as orders
from tests.tuning import search_conformance as searches


def laws_for(file: Path) -> dict[str, type]:
    """Return class name -> laws, for each policy that `file` holds.

    Raises:
        ValueError: it holds none.
    """
    if file.suffix == ".rule":
        name = file.stem
        return {name: _made(name, controllers.ControllerConformance, controller=_of_rule(file))}
    load_plugin(file, (ORDERS, CONTROLLERS, SEARCHES))
    found = {
        name: _made(name, controllers.ControllerConformance, controller=CONTROLLERS.get(name))
        for name in names_in([file], CONTROLLERS)
    }
    for name in names_in([file], ORDERS):
        found[name] = _made(name, orders.OrderConformance, order=ORDERS.get(name))
    for name in names_in([file], SEARCHES):
        found[name] = _made(name, searches.SearchConformance, search=name)
    return found


def _made(name: str, laws: type, **given: Any) -> type:
    # Pytest takes every class whose name begins with Test; the report shows what is set here.
    return type(name, (laws,), {**given, "__module__": __name__, "__test__": True})


def _of_rule(file: Path) -> type[Controller]:
    from policies.congestion.symbolic import Symbolic

    class Given(Symbolic, rule=file):
        """A rule's text as a controller."""

    Given.name = file.stem
    return Given


globals().update({f"Test{name}": laws for name, laws in laws_for(Path(os.environ[GIVEN])).items()})
