"""A built model: runs, tells what is in it, is saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.graph.options import Decision, Layer
from tuning.graph.plain import (
    decision_from_dict,
    decision_to_dict,
    layer_from_dict,
    layer_to_dict,
)
from tuning.graph.untyped import relax_untyped
from tuning.graph.walk import GraphError
from tuning.operators import Operator, operator_from_dict

_LIBRARY, _WEIGHTS, _ABOUT = "model.so", "weights.npz", "model.json"


@dataclass
class Seconds:
    """Wall-clock seconds of a build, apart.

    Attributes:
        tune: asking the tuner and the deciders: compiling and measuring candidates.
        passes: graph passes and packing of weights.
        tvm: lowering of what stays with TVM, and LLVM.
        link: compiling generated sources that are not in the cache, linking, loading.
    """

    tune: float = 0.0
    passes: float = 0.0
    tvm: float = 0.0
    link: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.tune + self.passes + self.tvm + self.link


@dataclass(frozen=True)
class Contents:
    """What runs.

    Attributes:
        library: the shared object.
        weights: packed, as `main` takes them after the image.
        shape: of the image batch, NCHW.
    """

    library: bytes
    weights: Sequence[NDArray[np.float32]]
    shape: tuple[int, ...]


class BuiltModel:
    """One executable with its packed weights.

    Attributes:
        layers: kernel calls in order, with the candidate and times of each.
        decisions: choices made by times, applied or not.
        left: operators that TVM runs because no kernel could be measured, and why.
        seconds: what building took, by part; of a loaded model what it took then.
    """

    def __init__(
        self,
        contents: Contents,
        layers: Sequence[Layer],
        decisions: Sequence[Decision],
        left: Mapping[Operator, str],
        seconds: Seconds,
    ) -> None:
        self.contents = contents
        self.layers = list(layers)
        self.decisions = list(decisions)
        self.left = dict(left)
        self.seconds = seconds
        self._main, self._tensors = _load(contents)

    def run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's output for one batch.

        Args:
            image: of the shape and layout (NCHW) of the example that the model was imported with.

        Raises:
            GraphError: it has another shape.
        """
        import tvm

        if image.shape != self.contents.shape:
            raise GraphError(
                f"image: has shape {image.shape}; the model was built for {self.contents.shape}"
            )
        given = tvm.runtime.tensor(np.ascontiguousarray(image, np.float32))
        return self.call(given).numpy()

    def call(self, image: Any) -> Any:
        """Return the output for a TVM tensor, as a TVM tensor: nothing is copied or checked."""
        return self._main(image, *self._tensors)

    def save(self, folder: Path) -> None:
        """Write the model into a folder: one shared object, its weights, and what is in it."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LIBRARY).write_bytes(self.contents.library)
        np.savez(folder / _WEIGHTS, *self.contents.weights)
        about = {
            "shape": list(self.contents.shape),
            "seconds": asdict(self.seconds),
            "layers": [layer_to_dict(layer) for layer in self.layers],
            "left": [[operator.to_dict(), why] for operator, why in self.left.items()],
            "decisions": [decision_to_dict(decision) for decision in self.decisions],
        }
        (folder / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BuiltModel:
        """Return the model that `save` wrote; the folder must be one's own: it holds code.

        Raises:
            GraphError: a file is missing or damaged.
        """
        try:
            library = (folder / _LIBRARY).read_bytes()
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            with np.load(folder / _WEIGHTS, allow_pickle=False) as stored:
                weights = [stored[f"arr_{i}"] for i in range(len(stored.files))]
            contents = Contents(library, weights, tuple(about["shape"]))
            layers = [layer_from_dict(data) for data in about["layers"]]
            decisions = [decision_from_dict(data) for data in about["decisions"]]
            left = {operator_from_dict(data): str(why) for data, why in about["left"]}
            return cls(contents, layers, decisions, left, Seconds(**about["seconds"]))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GraphError(f"{folder}: is no saved model: {str(error)[:200]}") from error


def _load(contents: Contents) -> tuple[Any, list[Any]]:
    """Return `main` and the weights as TVM's tensors."""
    import tvm

    relax = relax_untyped()

    with TemporaryDirectory(prefix="triptych-graph-") as folder:
        path = Path(folder) / _LIBRARY
        path.write_bytes(contents.library)
        machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    return machine["main"], [tvm.runtime.tensor(weight) for weight in contents.weights]
