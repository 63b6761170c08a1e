"""One lap: `python -m emu.soak.lap SECONDS SEED` runs mixed flows in a private world.

Two rules in the kernel, an agent's flow and the kernel's CUBIC share a link with loss. It prints a
line of JSON. Kill it at any moment: that is what it is for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emu.problems import EmulationError
from emu.relay.lane import DELIVER
from emu.traffic import cell as cells
from emu.traffic.controls import Control
from emu.traffic.flows import Flow
from emu.world import run_private
from emu.world.inside import folder
from sim.net.links import Bernoulli, Constant, DropTail, Link

_SPARE_S = 60.0
_LINK = Link(Constant(4e7), 10_000_000, DropTail(packets=100), loss=Bernoulli(0.001))
FLOWS = ("symbolic", "symbolic_branched", "vivace", "cubic")
_STAGGER_S = 0.3


def inside(request: Mapping[str, Any], note: Callable[[Any], None]) -> dict[str, Any]:
    """Run the flows for `seconds`; return what arrived of each, in bytes. In a private world."""
    del note
    flows = [Flow(name, Control(name), _STAGGER_S * place) for place, name in enumerate(FLOWS)]
    wanted = cells.Cell(_LINK, flows, request["seconds"], (), request["seed"])
    done = cells.run(wanted, folder())
    packets = done.packets
    arrived = packets[packets["verdict"] == DELIVER]
    return {
        "arrived": {
            name: int(arrived["payload"][arrived["source"] == source].sum())
            for name, source in zip(FLOWS, done.sources, strict=True)
        }
    }


def main(arguments: Sequence[str]) -> int:
    """Run a lap and print what came of it; return the exit code."""
    seconds, seed = float(arguments[0]), int(arguments[1])
    request = {"seconds": seconds, "seed": seed}
    try:
        told = run_private(f"{__spec__.name}:inside", request, timeout_s=seconds + _SPARE_S)
    except EmulationError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return 1
    print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
