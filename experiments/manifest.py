"""The schema of a manifest: one experiment of a paper, its sweep, sizes, claims and figure.

Fields and their meaning are in `docs/manifests.md`; `triptych schema` prints the JSON Schema for
editors. Marks, verdicts and metrics are those of the project's glossary there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from experiments.axes import AxisName, Block

SIZES = ("quick", "standard", "paper")
SizeName = Literal["quick", "standard", "paper"]
Mark = Literal["printed", "digitised", "derived", "remembered"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]
Identifier = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$", max_length=80)
]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Part(BaseModel):
    """Base of all parts of a manifest: no unknown field, finite numbers, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class PaperValue(Part):
    """A number that the paper reports, and how surely it is known.

    `bound`: it reports no more than that the value lies below or above the number.
    """

    value: float
    mark: Mark
    bound: Literal["below", "above"] | None = None
    source: Text = Field(description="section, figure or table of the paper")


class Tolerance(Part):
    """How far from the paper's value "reproduced" may still be said."""

    kind: Literal["abs", "rel"]
    value: float = Field(gt=0)

    def half_width(self, paper_value: float) -> float:
        """Return the tolerance in the unit of the metric."""
        return self.value if self.kind == "abs" else self.value * abs(paper_value)


class Statistic(Part):
    """How a claim's value is computed from the runs.

    `mean`: the metric's mean over the runs of `policy`. `geomean`: their geometric mean, for
    metrics that are ratios. `min` and `max`: the metric is averaged over seeds at each point and
    the extreme point taken, for statements on every point. `ratio`: the metric of `policy` divided
    by that of `over`, pair by pair (same point of the sweep, same seed), then the mean. `max_ratio`
    and `min_ratio`: the ratio is averaged over seeds at each point and the extreme point taken.
    With `interval: own` an extreme's interval is not one over seeds but what the runs measured
    themselves, in the metrics `<metric>_low` and `<metric>_high`: the extremes of both over all
    points, so that each point must hold for the claim to. One seed is enough then.
    `scaling`: the metric of `policy` at the points of `where` divided by the same policy's at the
    points with `over_where` in place of it (same other axes, same seed), then the mean.
    """

    kind: Literal["mean", "geomean", "min", "max", "ratio", "max_ratio", "min_ratio", "scaling"]
    policy: Name | None = None
    over: Name | None = None
    where: dict[AxisName, Any] = Field(default_factory=dict, description="only these points")
    interval: Literal["seeds", "own"] = "seeds"
    over_where: dict[AxisName, Any] = Field(
        default_factory=dict, description="scaling: values that replace those of where below"
    )

    @model_validator(mode="after")
    def _pair(self) -> Statistic:
        paired = self.kind in ("ratio", "max_ratio", "min_ratio")
        if paired and (self.policy is None or self.over is None):
            raise ValueError(f"statistic {self.kind!r} needs both policy and over")
        if not paired and self.over is not None:
            raise ValueError(f"statistic {self.kind!r} takes no over")
        return self

    @model_validator(mode="after")
    def _scales(self) -> Statistic:
        scaling = self.kind == "scaling"
        if scaling and (self.policy is None or not self.over_where):
            raise ValueError("statistic 'scaling' needs policy and over_where")
        if scaling and not self.over_where.keys() <= self.where.keys():
            raise ValueError("statistic 'scaling': where must hold each field of over_where")
        if not scaling and self.over_where:
            raise ValueError(f"statistic {self.kind!r} takes no over_where")
        return self

    @model_validator(mode="after")
    def _owns(self) -> Statistic:
        if self.interval == "own" and self.kind not in ("min", "max"):
            raise ValueError(f"statistic {self.kind!r} takes no interval: own; min and max do")
        return self


class Claim(Part):
    """A statement of the paper that runs of this experiment can support or contradict."""

    id: Name
    statement: Text
    metric: Text
    unit: Text
    statistic: Statistic
    paper: PaperValue
    tolerance: Tolerance
    note: str = ""


class Limits(Part):
    """What one run may take before it is ended and reported as failed."""

    timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    memory_mib: int = Field(default=4096, ge=64, le=1 << 20)


class Size(Part):
    """One size of the experiment: what differs from the manifest's own fields."""

    seconds: float = Field(gt=0, description="measured time of all runs on 2 cores")
    base: dict[str, Any] = Field(default_factory=dict)
    axes: list[Block] | None = None
    seeds: int | list[Seed] | None = None
    policies: list[Name] | None = None
    limits: Limits | None = None


class Sizes(Part):
    """The three sizes."""

    quick: Size
    standard: Size
    paper: Size


class Manifest(Part):
    """One experiment."""

    format: Literal[1] = Field(alias="schema", description="version of this schema")
    id: Identifier = Field(description="paper/name, as the file is called")
    title: Text
    question: Text = Field(description="what the experiment answers, in one sentence")
    panel: Literal["serving", "congestion", "tuning"]
    artefact: Text = Field(
        description='the figure or table as the paper calls it, or "not in the paper"'
    )
    kind: Name = Field(description="what a run does; one of the registered run kinds")
    promise: Literal["L0", "L1", "L2"] = Field(
        description="L0 bit-identical, L1 equal to rounding, L2 statistically equal"
    )
    origin: Literal["simulated", "measured", "recorded"] = "simulated"
    needs: list[Name] = Field(
        default_factory=list, description="capabilities, as doctor names them"
    )
    base: dict[str, Any] = Field(default_factory=dict, description="configuration of every run")
    axes: list[Block] = Field(default_factory=list)
    exclude: list[dict[AxisName, Any]] = Field(default_factory=list)
    policies: list[Name] = Field(default_factory=list)
    seeds: int | list[Seed] = Field(
        default=1, description="a count (0, 1, ...), or the seeds themselves"
    )
    limits: Limits = Limits()
    sizes: Sizes
    metrics: Annotated[list[Name], Field(min_length=1)] = Field(description="shown first, in order")
    claims: list[Claim] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        twice = {c.id for c in self.claims if sum(d.id == c.id for d in self.claims) > 1}
        if twice:
            raise ValueError(f"claims with the same id: {', '.join(sorted(twice))}")
        for seeds in (self.seeds, *(getattr(self.sizes, s).seeds for s in SIZES)):
            if isinstance(seeds, int) and not 1 <= seeds <= 10_000:
                raise ValueError(f"seeds: a count is between 1 and 10000, found {seeds}")
            if isinstance(seeds, list) and (not seeds or len(set(seeds)) < len(seeds)):
                raise ValueError("seeds: a list of different seeds, at least one")
        return self

    @property
    def paper(self) -> str:
        """The paper's short name, first half of the id."""
        return self.id.split("/")[0]

    @property
    def name(self) -> str:
        """The experiment's name within the paper."""
        return self.id.split("/")[1]

    @property
    def figure(self) -> str:
        """Module name of the figure in `experiments.figures`."""
        return f"{self.paper}_{self.name}".replace("-", "_")

    def size(self, name: str) -> Size:
        """Return the size called `name`."""
        return getattr(self.sizes, name)

    def seeds_of(self, size: str) -> list[int]:
        """Return the root seeds at `size`."""
        own = self.size(size).seeds
        seeds = self.seeds if own is None else own
        return list(range(seeds)) if isinstance(seeds, int) else list(seeds)

    def policies_of(self, size: str) -> list[str | None]:
        """Return the policies compared at `size`; `[None]` where the kind compares none."""
        own = self.size(size).policies
        return list(self.policies if own is None else own) or [None]

    def limits_of(self, size: str) -> Limits:
        """Return the limits of one run at `size`."""
        return self.size(size).limits or self.limits

    def axes_of(self, size: str) -> list[Block]:
        """Return the blocks of the sweep at `size`."""
        own = self.size(size).axes
        return self.axes if own is None else own
