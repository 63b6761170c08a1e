"""Reports on synthetic experiments: complete, partial, failed, stale, never run, and hostile."""

from __future__ import annotations

from pathlib import Path

from experiments.claims import check_claims
from experiments.figures.render import render
from experiments.manifest import Manifest
from experiments.report import Entry
from experiments.tables import Results
from tests.figures.synthetic import CLAIMS, claim, manifest, mixes, results_of

HOSTILE = (
    "</script><script>document.title='hacked'</script><img src=x onerror=document.title='hacked'>"
)


def entry(results: Results, home: Path, lacks: tuple[str, ...] = ()) -> Entry:
    """Return an experiment with its claims checked and its figure drawn."""
    return Entry(results, check_claims(results, lacks), render(results, home / "figures"), lacks)


def hostile() -> Manifest:
    """Return a manifest whose every free text tries to run a script."""
    return manifest(
        "mine/hostile",
        title=f"Title {HOSTILE}",
        question=f"Question {HOSTILE}",
        artefact=f"Fig. {HOSTILE}",
        axes=[{"grid": {"label": ["plain", HOSTILE]}}],
        policies=["blendserve", "prefix_dfs"],
        seeds=1,
        claims=[claim("gain", "throughput_tokens_s", "ratio", 1.2, 0.2, note=HOSTILE)],
    )


def sample(home: Path) -> list[Entry]:
    """Return one experiment of each state."""
    broken = results_of(
        manifest("blendserve/broken", title="Some runs failed"),
        home / "broken",
        fail=lambda spec: spec.config["policy"] == "arrival",
    )
    return [
        entry(results_of(manifest(), home / "whole"), home),
        entry(results_of(mixes(), home / "stale", fingerprint="earlier"), home),
        entry(broken, home),
        entry(results_of(hostile(), home / "hostile"), home),
        entry(
            results_of(
                manifest("bolt/fig01", panel="tuning", title="Needs a GPU", claims=CLAIMS[:1]),
                home / "never",
                keep=lambda spec: False,
            ),
            home,
            ("gpu",),
        ),
    ]
