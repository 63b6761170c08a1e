"""Reinforcement-learning environments: a flow sets its rate, monitor interval by interval.

Importing this registers `triptych/PccLegacy-v0`, `triptych/Pcc-v1` and `triptych/PccShared-v1`
with Gymnasium, where that is installed. Kernels are loaded when an environment is made.
"""

from __future__ import annotations

import importlib.util

IDS = {"triptych/PccLegacy-v0": "PccLegacy", "triptych/Pcc-v1": "Pcc"}
SHARED = "triptych/PccShared-v1"


def register() -> None:
    """Make the ids known to `gymnasium.make` and `gymnasium.make_vec`."""
    import gymnasium

    for name, stem in IDS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point=f"sim.net.envs.single:{stem}Env",
                vector_entry_point=f"sim.net.envs.vector:{stem}VectorEnv",
            )
    if SHARED not in gymnasium.registry:  # one link a time, so no vector face
        gymnasium.register(SHARED, entry_point="sim.net.envs.shared:PccSharedEnv")


if importlib.util.find_spec("gymnasium") is not None:
    register()
