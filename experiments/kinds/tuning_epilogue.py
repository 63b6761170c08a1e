"""Run kind `tuning-epilogue`: an epilogue inside the kernel, and as a pass over memory after it.

Fused and plain kernel are tuned each for itself. The pass has the same vector code and the same
threads. All are timed in turn in one process, each way by one call of compiled code, so that two
steps pay no second way through Python (Bolt section 3.1, Fig. 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_bench import SPENT, bench, interleaved, middle, sequence
from experiments.kinds.tuning_shapes import OperatorConfig, WarmConfig, fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


class EpilogueConfig(WarmConfig, OperatorConfig):
    """Configuration of `tuning-epilogue`."""


@register("tuning-epilogue")
class TuningEpilogue:
    """Compares an operator with its epilogue fused and not."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[EpilogueConfig]] = EpilogueConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        "fused_ns": "ns; kernel with the epilogue; lower is better",
        "unfused_ns": "ns; kernel without it, then the pass over the output",
        "plain_ns": "ns; kernel without it, alone",
        "speedup": "1; unfused_ns / fused_ns; higher is better",
        "speedup_low": "1; lower end of its 95 % interval over samples",
        "speedup_high": "1; upper end",
        "epilogue_share": "1; (fused_ns - plain_ns) / plain_ns: what a fused epilogue costs",
        **SPENT,
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; the machine is told in the provenance."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return programs that are not on this machine."""
        return lacking(config)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Tune both, check that they compute the same, time them in turn.

        Raises:
            NothingMeasuredError: no candidate ran.
            RuntimeError: the two ways differ, or the pass did not compile.
        """
        from tuning.rivals.timing import Timing, ratio_of_medians

        wanted = EpilogueConfig.model_validate(fields_of(config))
        times, spent, notes = _timed(wanted, str(config["policy"]), int(config["seed"]))
        fused, unfused, plain = (middle(times[n]) for n in ("fused", "unfused", "plain"))
        slow, fast = Timing.of("unfused", times["unfused"]), Timing.of("fused", times["fused"])
        ratio = ratio_of_medians(slow, fast)
        metrics = {
            "fused_ns": fused,
            "unfused_ns": unfused,
            "plain_ns": plain,
            "speedup": ratio.value,
            "speedup_low": ratio.low,
            "speedup_high": ratio.high,
            "epilogue_share": (fused - plain) / plain,
            **spent,
        }
        rows = [(way, ns) for way, taken in times.items() for ns in taken]
        samples = {"way": [way for way, _ in rows], "ns": [ns for _, ns in rows]}
        return Outcome(metrics, {"samples": samples}, notes)


def _timed(
    config: OperatorConfig, policy: str, seed: int
) -> tuple[dict[str, list[float]], dict[str, float | int], list[str]]:
    """Return samples of each way (ns), what tuning spent, and notes."""
    from dataclasses import replace

    from tuning.decide.race import clock_source
    from tuning.kernel import Kernel
    from tuning.operators import Epilogue
    from tuning.operators.reference import mismatch, random_operands
    from tuning.unfused import EpiloguePass, render_pass

    operator = config.operator.operator()
    bare = replace(operator, epilogue=Epilogue())
    with bench(config, policy, seed) as place:
        best = {name: place.tune(op).best for name, op in (("fused", operator), ("plain", bare))}
        made = place.objects.compile([render_pass(operator, best["plain"].candidate)])[0]
        if made.path is None:
            raise RuntimeError(f"the epilogue's pass: {made.message}")
        operands = random_operands(operator, seed)
        path = place.object_of(operator, best["fused"])
        fused = Kernel(path, operator, best["fused"].candidate, operands)
        path = place.object_of(bare, best["plain"])
        plain = Kernel(path, bare, best["plain"].candidate, operands)
        separate = EpiloguePass(made.path, operator, operands, plain.output, config.threads)
        made = place.objects.compile([clock_source()])[0]
        if made.path is None:
            raise RuntimeError(f"the caller of sequences: {made.message}")
        ways = {"fused": [fused.entry], "unfused": [plain.entry, separate.entry]}
        calls = {
            name: sequence(made.path, entries)
            for name, entries in (ways | {"plain": [plain.entry]}).items()
        }
        for name, output in (("fused", fused.output), ("unfused", plain.output)):
            calls[name]()
            if (wrong := mismatch(operator, operands, output)) is not None:
                raise RuntimeError(f"{operator.text()}: {wrong}")
        times = interleaved(calls, config.samples)
        notes = [f"{name}: {m.candidate.text()}" for name, m in best.items()]
        return times, place.spent(), notes
