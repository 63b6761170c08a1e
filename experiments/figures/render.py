"""Figures to files: SVG, PNG and the points drawn, whose bytes repeat for the same results."""

from __future__ import annotations

import importlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from experiments import paths
from experiments.figures.drawn import Drawn
from experiments.files import write_atomic
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

CAPTION_ID = "caption"
_MARGIN_INCHES = 0.1
# The picture alone, in a README, follows the reader's light or dark setting by itself.
SVG_STYLE = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"


@dataclass(frozen=True)
class Rendered:
    """What became of a figure.

    Attributes:
        svg: picture for pages and papers; it takes the text colour of the page around it.
        png: the same picture on white.
        csv: the points drawn.
        caption: size, seeds, origin, and what is missing, as written under the figure.
        missing: what was planned but could not be drawn, in words.
        problem: why there is no figure, "" if there is one; the paths are then None.
    """

    svg: Path | None
    png: Path | None
    csv: Path | None
    caption: str = ""
    missing: tuple[str, ...] = ()
    problem: str = ""


def current(results: Results, out_root: Path) -> Rendered | None:
    """Return the figure that lies in `out_root`, if it is the one that would be drawn now."""
    place = _Place(results, out_root)
    return place.rendered() if place.note.is_current() else None


def render(results: Results, out_root: Path) -> Rendered:
    """Draw the figure of an experiment into `out_root/<paper>/<name>.{svg,png,csv}`.

    An unchanged figure is left as it is. One of no finished run says so and names the command.
    What `draw` raises is reported in `problem`, and files of an earlier drawing are removed, for
    they show other results.

    Raises:
        OSError: the folder cannot be written.
    """
    place = _Place(results, out_root)
    if place.note.is_current():
        return place.rendered()
    try:
        from experiments.figures.style import styled

        module = importlib.import_module(f"experiments.figures.{place.source}")
        with styled():
            figure = _draw(module, results)
            _write_under(figure, place.caption)
            box = _lay_out(figure)
            pictures = (_svg_bytes(figure, box), _png_bytes(figure, box))
        data = [*pictures, _csv_bytes(_points(module, results))]
    except Exception as error:  # a figure's code may raise anything; the others must go on
        for target in place.targets:
            target.unlink(missing_ok=True)
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        reason = f"experiments/figures/{place.source}.py: {said}"
        return Rendered(None, None, None, place.caption, place.missing, reason)
    for target, content in zip(place.targets, data, strict=True):
        if not target.is_file() or target.read_bytes() != content:
            write_atomic(target, content)
    place.note.remember()
    return place.rendered()


class _Place:
    """Where the figure of some results goes, and what is written under it."""

    def __init__(self, results: Results, out_root: Path) -> None:
        manifest = results.manifest
        # As with tables: what an override drew is not the experiment's own figure.
        ending = f"+{results.plan.digest[:8]}" if results.plan.overridden else ""
        ending += "-recorded" if results.origin == "recorded" else ""
        stem = out_root / manifest.paper / f"{manifest.name}{ending}"
        self.targets = [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png", "csv")]
        self.missing = _missing(results)
        self.caption = _caption(results, self.missing)
        self.source = _source(manifest.figure)
        file = paths.ROOT / "experiments/figures" / f"{self.source}.py"
        self.note = Drawn(self.targets, results, file)

    def rendered(self) -> Rendered:
        """Return the figure, once it is drawn."""
        return Rendered(*self.targets, caption=self.caption, missing=self.missing)


def inline_svg(text: str, prefix: str) -> str:
    """Return a rendered SVG fit to stand in an HTML page beside others.

    The prolog and the own colours go, and ids get `prefix`: pictures on one page share one
    space of ids, and a clip path of a hidden one would blank another.
    """
    text = text[text.index("<svg") :].replace(SVG_STYLE, "")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    return text.replace("url(#", f"url(#{prefix}-").strip()


def _source(name: str) -> str:
    """Return the experiment's figure, or the general one where it has no file of its own."""
    return name if (paths.FIGURES / f"{name}.py").is_file() else "sweep"


def _draw(module: ModuleType, results: Results) -> Figure:
    from experiments.figures.parts import empty_figure

    if not len(results.table):
        return empty_figure(f"No finished run yet: triptych reproduce {results.manifest.id}")
    return module.draw(results)


def _points(module: ModuleType, results: Results) -> pd.DataFrame:
    if hasattr(module, "points") and len(results.table):
        return module.points(results)
    return results.table


def _missing(results: Results) -> tuple[str, ...]:
    done = set(results.run_ids)
    absent = [spec for spec in results.plan.runs if spec.id not in done]
    if not absent:
        return ()
    found = [f"{len(absent)} of {len(results.plan.runs)} runs"]
    drawn = {spec.config["policy"] for spec in results.plan.runs if spec.id in done}
    lacking = dict.fromkeys(s.config["policy"] for s in absent if s.config["policy"] not in drawn)
    found += [f"policy {name}" for name in lacking if name is not None]
    return tuple(found)


def _caption(results: Results, missing: tuple[str, ...]) -> str:
    plan = results.plan
    seeds = list(dict.fromkeys(spec.config["seed"] for spec in plan.runs))
    shown = ", ".join(map(str, seeds)) if len(seeds) <= 6 else f"{len(seeds)} of them"
    parts = [
        f"{plan.manifest.id}, size {plan.size}" + (" (overridden)" if plan.overridden else ""),
        f"{len(results.run_ids)} runs, seed{'s' if len(seeds) > 1 else ''} {shown}",
        results.origin,
    ]
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    if results.stale:
        parts.append(f"{len(results.stale)} runs made by earlier code")
    return " · ".join(parts)


def _write_under(figure: Figure, caption: str) -> None:
    import textwrap

    text = "\n".join(textwrap.wrap(caption, int(figure.get_figwidth() * 15)))
    figure.text(0.005, -0.015, text, ha="left", va="top", fontsize=8, alpha=0.75, gid=CAPTION_ID)


def _lay_out(figure: Figure) -> Bbox:
    """Lay a figure out once, for all of its files; return the box that holds all of it, inches."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    return figure.get_tightbbox().padded(_MARGIN_INCHES)


def _svg_bytes(figure: Figure, box: Bbox) -> bytes:
    from experiments.figures.style import INK

    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", bbox_inches=box, metadata=nothing, transparent=True)
    text = buffer.getvalue().replace(INK, "currentColor")
    # Hundredths of a point are enough for lines; six digits would double the file.
    text = re.sub(r' d="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text)
    text = _count_clip_ids(text)
    head = text.index(">", text.index("<svg")) + 1
    return (text[:head] + "\n " + SVG_STYLE + text[head:]).encode()


def _count_clip_ids(text: str) -> str:
    """Number the clip paths in their order.

    Their ids are hashes of positions to the last digit, and the layout's solver, which goes
    through its variables in the order of their addresses, does not repeat that digit.
    """
    names = dict.fromkeys(re.findall(r'<clipPath id="([^"]+)"', text))
    places = {name: f"clip{place}" for place, name in enumerate(names)}
    return re.sub(
        r'(?<=<clipPath id=")[^"]+|(?<=url\(#)[^)]+', lambda m: places.get(m[0], m[0]), text
    )


def _png_bytes(figure: Figure, box: Bbox) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", bbox_inches=box, facecolor="white", metadata={"Software": None}
    )
    return buffer.getvalue()


def _csv_bytes(points: pd.DataFrame) -> bytes:
    return points.to_csv(index=False, lineterminator="\n").encode()
