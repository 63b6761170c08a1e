"""Where each simulator was compared with something it is not, and where it is known to be wrong.

One entry per simulator. `records` names experiments whose recorded claims and metrics the page
shows; one that does not exist yet, or is not recorded, is shown as such, so that a gap is visible.
`tests` are files that compare with an independent reference each time they run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """An experiment that compares a simulator with measurements.

    Attributes:
        experiment: its id.
        against: what the simulator is compared with.
        ranges: metrics whose mean and range over the recorded runs the page shows.
        sums: metrics whose sum over them it shows.
        by_policy: whether ranges are told apart by policy.
    """

    experiment: str
    against: str
    ranges: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    by_policy: bool = False


@dataclass(frozen=True)
class Simulator:
    """One simulator: what it computes, what it was held against, and its known errors.

    Attributes:
        name: as the pages call it.
        code: folder or file.
        model: page that says what it computes.
        records: comparisons with measurements, recorded.
        tests: (what it is compared with, file of the test).
        wrong: where it is known to be wrong, or has not been looked at; one sentence each.
    """

    name: str
    code: str
    model: str
    records: tuple[Record, ...]
    tests: tuple[tuple[str, str], ...]
    wrong: tuple[str, ...]


SIMULATORS = (
    Simulator(
        "Batch engine: which request does what in which step",
        "serving/engine",
        "serving-model",
        (
            Record(
                "blendserve/vllm-parity",
                "real vLLM on a CPU, random pools, every field of every step",
                ("equal_share",),
                ("runs", "equal_runs", "steps", "equal_steps", "scheduled_tokens", "preemptions"),
            ),
            Record(
                "blendserve/vllm-orders",
                "real vLLM on a CPU, request orders, prefix hits",
                ("equal_steps_share", "hit_tokens_error", "steps_error"),
                ("steps",),
            ),
        ),
        (
            ("the engine that is written to be read", "tests/serving/test_engines.py"),
            ("real vLLM, where it is installed", "tests/serving/test_vllm_live.py"),
        ),
        (
            "vLLM with asynchronous scheduling, sliding windows, speculation or several GPUs was"
            " compared in no step; asynchronous scheduling only in the statistics of one replayed"
            " run.",
            "The rules are those of one release of vLLM. SGLang's and NanoFlow's rules are from"
            " their sources and were compared with no run.",
            "With greedy decoding a preempted request can hit the output of its twin in vLLM; here"
            " it never does.",
        ),
    ),
    Simulator(
        "Cost of a step on a GPU or CPU",
        "sim/gpu",
        "serving-accuracy",
        (
            Record(
                "blendserve/vllm-time",
                "CPU time of real vLLM on pools that nothing was fitted to",
                ("mix_ratio", "prefix_ratio", "outputs_ratio", "worst_error"),
            ),
            Record("blendserve/vllm-rtx4090", "a published run of vLLM on an RTX 4090"),
            Record("blendserve/table1", "kernel times that BlendServe printed for an A100"),
            Record("blendserve/overlap-gpu", "kernels that run beside each other on a GPU"),
        ),
        (("a profile's own grid and a brute-force sum", "tests/sim_gpu/test_attention_grid.py"),),
        (
            "How compute and memory time overlap is one number, h, chosen on two pools against the"
            " paper's gains; it is more than NanoFlow's published points support.",
            "Absolute throughput of the paper's mixes is 1.4 to 1.6 times the paper's: compare"
            " ratios.",
            "GEMMs take waves of thread blocks: between measured sizes a line is drawn, and the"
            " error changes its sign from 512 to 1,024 tokens.",
            "Host overhead is in no number. An engine in eager mode is slower than simulated.",
            "A batch of one long and many short requests costs what equal ones of that mean would.",
        ),
    ),
    Simulator(
        "Packet engine: links, queues, senders",
        "sim/net",
        "network-model",
        (
            Record(
                "symbolicpcc/sim-vs-emu",
                "kernel TCP and the kernel's rules over emulated links",
                ("agrees", "utilisation_agrees", "delay_agrees", "utilisation_gap"),
                by_policy=True,
            ),
        ),
        (
            ("the engine in SimPy, event for event", "tests/net/test_engines.py"),
            ("ns-3, where it is installed", "tests/net/test_ns3.py"),
            ("queueing theory (M/M/1, M/D/1)", "tests/net/test_theory_queues.py"),
            ("square-root law and the sawtooth", "tests/net/test_theory_response.py"),
        ),
        (
            "Receivers that acknowledge two packets at a time look like a queue to the rules, which"
            " were trained without; they use less of an emulated link than of a simulated one.",
            "CUBIC follows RFC 9438 in its Reno-friendly region, Linux presumably RFC 8312: with"
            " 1 % of loss on short paths the two differ by a fifth.",
            "The simulated BBRv1 has no window for ACKs that arrive in clumps, so it queues 1 to"
            " 4 ms less than Linux's.",
            "Segmentation offload, which fills a queue of 10 KB at once, is not modelled.",
        ),
    ),
    Simulator(
        "PCC-RL's environment, `PccLegacy-v0`",
        "sim/net/envs",
        "environments",
        (),
        (
            ("an event heap written from PCC-RL's description", "tests/envs/test_legacy_model.py"),
            ("rewards of the published weights", "tests/envs/test_legacy_rewards.py"),
        ),
        (
            "It repeats PCC-RL's errors where its behaviour is defined (no serialisation of a"
            " packet's own, losses known one round trip after sending); use `Pcc-v1` for links.",
        ),
    ),
    Simulator(
        "Link relay: what makes a cable a link",
        "emu/relay",
        "emulation",
        (),
        (
            ("its twin in Python, departure for departure", "tests/emu/test_lane.py"),
            ("paths measured from outside", "tests/emu/test_live.py"),
        ),
        (
            "On a loaded machine packets leave late; every recorded run says by how much.",
            "A receiver's kernel acknowledges as it likes, so the return path is not the"
            " simulator's.",
        ),
    ),
    Simulator(
        "Rules in integers, as the kernel computes them",
        "policies/rules/fixed",
        "rules",
        (),
        (
            (
                "the same rule in float64, within a proven bound",
                "tests/rules/fixed/test_compile.py",
            ),
            ("the program in the kernel", "tests/datapath/test_live.py"),
        ),
        ("Near a comparison's boundary the two may take different branches.",),
    ),
    Simulator(
        "Analytical model of template kernels",
        "tuning/templates/cpu/model.py",
        "tuning",
        (Record("bolt/pruner", "measured times of all candidates"),),
        (("bounds that no model may pass", "tests/tuning/test_library.py"),),
        (
            "It ranks candidates and promises no time; a search that only trusts it can miss the"
            " best.",
        ),
    ),
)
