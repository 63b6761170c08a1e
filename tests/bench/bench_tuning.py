"""Tuned kernels against the fastest vendor per shape, and a whole network's tuning time.

Kernels and vendors are timed by a contest, in turn and in processes of their own, so what they took
is told to pytest-benchmark by a clock of our own: one round is one round of the contests, its time
the geometric mean over shapes.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from policies.search.base import Budget
from tests.needs import need
from tuning.operators import Conv2d, Epilogue, Gemm, Operator
from tuning.profile import Profiler, ProfileSettings
from tuning.rivals import VENDORS, Entrant, contest, fastest
from tuning.templates.cpu.library import CpuTemplates
from tuning.tuner import tune

EPILOGUE = Epilogue(("bias", "relu"))
GEMMS = tuple(
    Gemm(m, n, k, epilogue=EPILOGUE)
    for m, n, k in (
        *((1280, 3072, 768), (1280, 768, 768), (1280, 768, 3072)),
        *((1024, 1024, 1024), (2048, 2048, 2048)),
    )
)
CONVOLUTIONS = tuple(
    Conv2d(1, extent, extent, ic, oc, stride=(step, step), padding=(1, 1), epilogue=EPILOGUE)
    for extent, ic, oc, step in (
        *((56, 64, 64, 1), (56, 128, 128, 2), (28, 128, 128, 1), (28, 256, 256, 2)),
        *((14, 256, 256, 1), (14, 512, 512, 2), (7, 512, 512, 1)),
    )
)
"""ResNet-50's (v1.5), one image."""

BUDGET = Budget(trials=64, seconds=60.0)
BEST_VENDOR = "fastest vendor per shape"


class ToldClock:
    """A clock that goes forward by what it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return seconds."""
        return self.now_s


CLOCK = ToldClock()
told = pytest.mark.benchmark(timer=CLOCK)


@functools.cache
def raced(operators: tuple[Operator, ...], threads: int) -> dict[str, list[tuple[float, ...]]]:
    """Return, for `ours` and for the fastest vendor, nanoseconds per round of each operator."""
    library, settings = CpuTemplates(threads=threads), ProfileSettings(threads=threads)
    found: dict[str, list[tuple[float, ...]]] = {"ours": [], BEST_VENDOR: []}
    with Profiler(library, settings) as profiler:
        for operator in operators:
            best = tune(operator, library, profiler, "hardware_native", BUDGET).best.candidate
            path = profiler.objects.require(library.render(operator, best))
            entrants = [Entrant.templates(path, best), *map(Entrant.vendor, VENDORS)]
            timings = contest(operator, entrants, settings)
            ours, vendor = timings.pop("ours"), fastest(timings.values())
            assert ours.ok, ours.message
            assert vendor is not None
            found["ours"].append(ours.samples)
            found[BEST_VENDOR].append(vendor.samples)
    return found


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean of positive values."""
    return float(np.exp(np.mean(np.log(values))))


def replay(measure, operators: tuple[Operator, ...], threads: int, side: str) -> None:
    """Tell the clock what the contests measured; the value is GFLOP/s."""
    need("torch")
    rounds = list(zip(*raced(operators, threads)[side], strict=True))
    times: Iterator[tuple[float, ...]] = iter(rounds)

    def one() -> None:
        CLOCK.now_s += geometric_mean(list(next(times))) / 1e9

    work = geometric_mean([operator.flops for operator in operators]) / 1e9
    measure(one, rounds=len(rounds), amount=work)


@told
@pytest.mark.bench("tuning/gemm_geo_t1", unit="GFLOP/s", better="higher")
def test_gemm_geo_t1(measure) -> None:
    """The GEMM list with bias and ReLU on one thread; our searches' best."""
    replay(measure, GEMMS, 1, "ours")


@told
@pytest.mark.bench("tuning/gemm_geo_t1", unit="GFLOP/s", better="higher", side=BEST_VENDOR)
def test_gemm_geo_t1_peer(measure) -> None:
    """NumPy's OpenBLAS, PyTorch's MKL or oneDNN with post-ops."""
    replay(measure, GEMMS, 1, BEST_VENDOR)


@told
@pytest.mark.bench("tuning/gemm_geo_t2", unit="GFLOP/s", better="higher")
def test_gemm_geo_t2(measure) -> None:
    """The same on two threads."""
    replay(measure, GEMMS, 2, "ours")


@told
@pytest.mark.bench("tuning/gemm_geo_t2", unit="GFLOP/s", better="higher", side=BEST_VENDOR)
def test_gemm_geo_t2_peer(measure) -> None:
    """The vendors on two threads."""
    replay(measure, GEMMS, 2, BEST_VENDOR)


@told
@pytest.mark.bench("tuning/conv3x3_geo", unit="GFLOP/s", better="higher")
def test_conv3x3_geo(measure) -> None:
    """ResNet-50's 3x3 convolutions with bias and ReLU, two threads."""
    replay(measure, CONVOLUTIONS, 2, "ours")


@told
@pytest.mark.bench("tuning/conv3x3_geo", unit="GFLOP/s", better="higher", side=BEST_VENDOR)
def test_conv3x3_geo_peer(measure) -> None:
    """PyTorch's conv2d or oneDNN with post-ops."""
    replay(measure, CONVOLUTIONS, 2, BEST_VENDOR)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A cache and records of our own: empty when the module starts."""
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", made)
        yield Path(made)


def tune_resnet50(records: Path) -> None:
    """Import, decide, tune, compile and link ResNet-50 for one image and two threads."""
    import torch

    from tuning.graph import import_torch
    from tuning.graph.session import Session
    from tuning.models import model

    network, image = model("resnet50"), torch.zeros(1, 3, 224, 224)
    library, settings = CpuTemplates(threads=2), ProfileSettings(threads=2)
    with Session(library, settings, records) as session:
        session.build(import_torch(network, image))


@pytest.mark.timeout(1800)
@pytest.mark.bench("tuning/resnet50_cold", unit="s", better="lower")
def test_resnet50_cold(measure, folder) -> None:
    """From an empty cache and no records; the paper's headline is 20 minutes on a T4."""
    need("torch")
    need("tvm")
    measure(lambda: tune_resnet50(folder), rounds=1)


@pytest.mark.timeout(1800)
@pytest.mark.bench("tuning/resnet50_warm", unit="s", better="lower")
def test_resnet50_warm(measure, folder) -> None:
    """The same when every operator is on record; run after the one above, or it makes them."""
    need("torch")
    need("tvm")
    if not any(folder.glob("*.jsonl")):
        tune_resnet50(folder)
    measure(lambda: tune_resnet50(folder), rounds=3)
