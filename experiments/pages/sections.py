"""Sections of the three papers, by number and in our own words: what each asks of this project.

Code and tests name them by a comment, `# paper: blendserve 5.2`, or several apart by semicolons. A
section has code, or a reason why there is none. Numbers of sections that were not at hand are not
invented: parts of a paper known by its figures and abstract have a word for a number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One section, equation, algorithm, figure or table of a paper.

    Attributes:
        paper: `blendserve`, `symbolicpcc` or `bolt`.
        number: as markers write it.
        says: what it is about, in our words.
        experiments: ids of experiments whose figures show it.
        reason: why there is no code, "" where there is.
        untested: why no test names it, "" where one does.
    """

    paper: str
    number: str
    says: str
    experiments: tuple[str, ...] = ()
    reason: str = ""
    untested: str = ""

    @property
    def name(self) -> str:
        """What markers write."""
        return f"{self.paper} {self.number}"


def _of(paper: str, *sections: tuple[str, str, str] | tuple[str, str, str, str]) -> list[Section]:
    """Return sections from (number, words, experiments, reason or nothing)."""
    found = []
    for number, says, experiments, *reason in sections:
        prefix = f"{paper}/"
        ids = tuple(prefix + name for name in experiments.split())
        found.append(Section(paper, number, says, ids, *reason))
    return found


BLENDSERVE = _of(
    "blendserve",
    ("3.3", "time of a pool from compute and memory time, overlapped or not; the optimum", "fig03"),
    ("4", "performance model: compute and memory time of a request, density", "table1 fig02"),
    ("5.1", "prefix tree with densities; output lengths from a sample", "ablation-sampling"),
    ("5.2", "siblings sorted by density; outliers split off within a budget", "ablation-split"),
    ("5.3", "dual scanner: memory shared so that the batch has the root's density", "fig06 fig10"),
    ("5.4", "videos' lengths are known; which traces are hard to estimate", "ablation-sampling"),
    ("5.5", "data parallelism: one tree, cut over ranks", "table3"),
    ("alg 1", "sort of the tree, node by node", "ablation-sort"),
    ("alg 2", "the tree cut into units, top down", "ablation-split"),
    ("alg 3", "shares of the memory and prefill budgets of both ends", "ablation-scan"),
    ("6.1", "rival systems: vLLM, SGLang and NanoFlow, in DFS or random order", "fig07a fig07b"),
    ("6.2", "pools mixed from sources to a density and a sharing; practical optimum", "fig07a"),
    ("6.5", "simulated sweeps over densities, sharing and models", "fig11 fig12 fig13 fig14 fig15"),
    ("fig 8", "disaggregated prefill and decoding (DistServe)", "fig08"),
    ("fig 9", "share of the possible prefix sharing that orders keep", "fig09"),
    (
        "a.2",
        "times of the CPU's work on the tree",
        "",
        "the simulator does not charge the CPU, as the paper's throughput does not",
    ),
)
SYMBOLICPCC = _of(
    "symbolicpcc",
    ("teacher", "the neural controller that is distilled: PCC-RL's agent", "teacher"),
    ("simulator", "PCC-RL's environment, in which the agent is trained", "teacher"),
    ("roll-outs", "the teacher is run and what it saw and did is kept", "ablation-dagger"),
    ("distillation", "a formula is fitted to the roll-outs", "fidelity ablation-history"),
    ("clustering", "conditions are parted into contexts of like return", "contexts"),
    ("specialists", "an agent for each context, distilled in turn", "ablation-specialists"),
    ("decider", "observations say which branch's turn it is", "decider"),
    ("complexity", "operations of a decision, networks and rules", "complexity decision-cost"),
    ("bandwidth", "emulation panel (a)", "bandwidth bandwidth-emu"),
    ("latency", "emulation panel (b)", "latency latency-emu"),
    ("queue", "emulation panel (c)", "queue queue-emu"),
    ("loss", "emulation panel (d)", "loss loss-emu"),
    ("lossy trace", "throughput over time on a lossy link", "lossy-trace lossy-trace-emu"),
    ("dynamics", "throughput over time as the capacity changes", "dynamic-link dynamic-link-emu"),
)
BOLT = _of(
    "bolt",
    ("epilogue fusion", "element-wise steps inside the product's kernel", "cpu-epilogue table4"),
    ("b2b fusion", "two products in one kernel, the first's result never stored", "cpu-b2b"),
    ("3.2.2", "profiler: guidelines leave tens of candidates, which are measured", "tuning-time"),
    ("padding", "unaligned channels padded where that pays", "cpu-padding"),
    ("layout", "images with channels last, converted once", "cpu-models"),
    ("partition", "operators with a template are cut out, others stay with TVM", "cpu-models"),
    ("codegen", "sources in the library's own convention, one file for the network", "cpu-models"),
    (
        "3.3",
        "networks designed with the system: activations, deepening, alignment",
        "table5 table6 alignment",
    ),
    ("fig 1", "products against libraries and a tuner", "cpu-gemm"),
    ("fig 8", "convolutions against libraries and a tuner", "cpu-conv"),
    ("fig 10", "whole networks: speed and tuning time", "cpu-models tuning-time"),
)
SECTIONS = {section.name: section for section in (*BLENDSERVE, *SYMBOLICPCC, *BOLT)}
