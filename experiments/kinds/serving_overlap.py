"""Run kind `serving-overlap`: a surface of overlap, measured or published, against models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds import serving_measured as measured
from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import SHA256

if TYPE_CHECKING:
    from serving.overlap.surface import Points

REGIONS = ("compute_longer", "alike", "memory_longer")
MODELS = ("sum", "max", "partial_half", "partial_fitted", "interference", "surface")


class OverlapConfig(Config):
    """Configuration of `serving-overlap`."""

    source: Literal["measured", "nanoflow"] = Field(
        default="measured", description="A file of `on_gpu overlap`, or NanoFlow's A100 points."
    )
    file: str = Field(
        default="gpu/overlap.jsonl", description="Measured: a path, or one below the data folder."
    )
    sha256: str | None = Field(
        default=None, pattern=SHA256, description="Digest of the file; filled in when resolved."
    )
    priority: Literal["best", "equal", "memory-first"] = Field(
        default="best", description="Of the stream of attention; the faster one at each point."
    )


def _metrics() -> dict[str, str]:
    found = {"points": "points of the surface", "h_best": "1; h of partial that fits all best"}
    for region in REGIONS:
        found |= {
            f"h_{region}": f"1; mean hidden fraction, {region.replace('_', ' ')}",
            f"h_{region}_low": "1; lower end of its 95 % interval over points and repeats",
            f"h_{region}_high": "1; upper end",
            f"points_{region}": "points there",
        }
    found["h_max"] = "1; largest hidden fraction of a point"
    for model in MODELS:
        found |= {
            f"error_{model}": f"1; median |predicted / measured - 1| of {model}, out of sample; "
            "lower is better",
            f"worst_{model}": "1; the largest; lower is better",
        }
    return found


@register("serving-overlap")
class ServingOverlap:
    """Holds overlap models against times of kernels side by side."""

    Config: ClassVar[type[OverlapConfig]] = OverlapConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    recorded_series: ClassVar[tuple[str, ...]] = ("surface",)
    metrics: ClassVar[Mapping[str, str]] = _metrics()

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the digest of the file.

        Raises:
            ValueError: it is another one than that of the digest given.
        """
        return measured.with_digest(config) if config["source"] == "measured" else config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the measurement, if it is not here, and the GPU that it takes."""
        return measured.lacking(config, "overlap") if config["source"] == "measured" else ()

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read or make the surface, and judge the models."""
        from serving.overlap.surface import hidden, published, read_points
        from sim.streams import stream

        seed = int(config["seed"])
        if config["source"] == "measured":
            points = read_points(measured.located(config), config["priority"])
        else:
            points = published(stream(seed, {"source": config["source"]}, "ratios"))
        c, m, both = points.medians()
        surface = {"compute_ms": c, "memory_ms": m, "both_ms": both, "h": hidden(c, m, both)}
        table = {name: column.tolist() for name, column in surface.items()}
        values = _values(points, stream(seed, {"source": config["source"]}, "interval"))
        return Outcome(values, tables={"surface": table}, notes=[points.origin])


def _values(points: Points, rng: Any) -> dict[str, Any]:
    import numpy as np

    from serving.overlap import surface

    c, m, both = points.medians()
    values: dict[str, Any] = {"points": len(c), "h_best": surface.best_partial(c, m, both).h}
    values["h_max"] = float(surface.hidden(c, m, both).max())
    region = points.region()
    for place, name in enumerate(REGIONS):
        chosen = region == place
        values[f"points_{name}"] = int(chosen.sum())
        found = surface.interval(points, chosen, rng) if chosen.any() else (None, None, None)
        for end, value in zip(("", "_low", "_high"), found, strict=True):
            values[f"h_{name}{end}"] = value
    for name, errors in surface.errors_of(points).items():
        values[f"error_{name}"] = float(np.median(np.abs(errors)))
        values[f"worst_{name}"] = float(np.abs(errors).max())
    return values
