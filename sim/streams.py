"""Named random streams that depend on identity alone, never on the order of execution.

A stream is a `numpy.random.Generator` seeded by (root seed, identity, stream name). What is
left out of the identity is shared: a workload drawn from its own description is the same for
every policy and every GPU that it meets (common random numbers).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN or infinity.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _words(text: str) -> list[int]:
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]


def stream(root_seed: int, identity: Mapping[str, Any], name: str) -> np.random.Generator:
    """Return the random generator of the stream `name` of `identity`.

    Args:
        root_seed: the seed that a manifest sweeps over, >= 0.
        identity: JSON-able description of what draws; leave out what must share its luck.
        name: what is drawn ("lengths", "arrivals", "loss", ...). A new name never shifts
            the draws of another one.
    """
    import numpy as np  # identities alone do not need it, and `triptych list` is quick without

    if root_seed < 0:
        raise ValueError(f"root_seed must be >= 0, got {root_seed}")
    entropy = [root_seed, *_words(canonical_json(identity)), *_words(name)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
