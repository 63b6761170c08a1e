"""What `measure.py` does on a GPU: operands, reference, rivals and times, by PyTorch alone.

It stands beside `measure.py` in an exported folder and imports nothing of the project.
"""

from __future__ import annotations

import ctypes
import math
import statistics
from typing import Any

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "int8": 1, "int32": 4}
SAMPLES, WARMUP, GRAPH_NS = 21, 3, 2_000_000
FULL, LEAST_SETS, MOST_SETS = 2.0, 2, 256
"""The sets of operands together are so many times the L2 cache; at least and at most so many."""


class Kernel:
    """One kernel of a loaded unit, bound to a problem's sizes."""

    def __init__(self, library: ctypes.CDLL, row: dict[str, Any]) -> None:
        prefix = row["symbol"]
        self.sizes = (ctypes.c_int64 * len(row["sizes"]))(*row["sizes"])
        self._run = getattr(library, f"{prefix}_run")
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float]
        self._run.argtypes += [ctypes.c_void_p, ctypes.c_void_p]
        can = getattr(library, f"{prefix}_can_implement")
        can.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        workspace = getattr(library, f"{prefix}_workspace_bytes")
        workspace.argtypes, workspace.restype = [ctypes.c_void_p], ctypes.c_int64
        none = (ctypes.c_void_p * row["tensors"])(*(256 * (i + 1) for i in range(row["tensors"])))
        self.status = can(none, self.sizes)
        self.workspace_bytes = workspace(self.sizes) if self.status == 0 else 0

    def launch(self, pointers: Any, alpha: float, workspace: int, stream: int) -> None:
        """Run on addresses; RuntimeError if the library refuses."""
        if code := self._run(pointers, self.sizes, alpha, workspace, stream):
            raise RuntimeError(f"the kernel was not launched: cutlass::Status {code}")


def make_operands(problem: dict[str, Any], seed: int, device: str) -> dict[str, Any]:
    """Return name -> random tensor; weights are scaled so that outputs have variance about 1."""
    import torch

    generator = torch.Generator(device).manual_seed(seed)
    found = {}
    for tensor in problem["tensors"]:
        kind = getattr(torch, tensor["dtype"])
        if tensor["role"] == "output":
            found[tensor["name"]] = torch.empty(tensor["shape"], dtype=kind, device=device)
        elif tensor["role"] == "zeros":
            found[tensor["name"]] = torch.zeros(tensor["shape"], dtype=kind, device=device)
        elif tensor["dtype"] == "int8":
            found[tensor["name"]] = torch.randint(
                -8, 9, tensor["shape"], generator=generator, dtype=kind, device=device
            )
        else:
            drawn = torch.randn(tensor["shape"], generator=generator, device=device)
            found[tensor["name"]] = (drawn * tensor["scale"]).to(kind)
    return found


def product(part: dict[str, Any], left: Any, right: Any) -> Any:
    """Return A B, or the convolution of an NHWC image with OHWI weights."""
    import torch

    if part["kind"] == "gemm":
        return left @ (right.transpose(-1, -2) if part["layout"] == "tn" else right)
    found = torch.nn.functional.conv2d(
        left.permute(0, 3, 1, 2),
        right.permute(0, 3, 1, 2),
        None,
        part["stride"],
        part["padding"],
        part["dilation"],
    )
    return found.permute(0, 2, 3, 1)


def steps(value: Any, chain: list[str], bias: Any, residual: Any) -> Any:
    """Return `value` after the epilogue's steps."""
    from torch.nn import functional

    for step in chain:
        if step == "bias":
            value = value + bias
        elif step == "residual":
            value = value + residual
        else:
            value = getattr(functional, step)(value)
    return value


def reference(problem: dict[str, Any], given: dict[str, Any], dtype: str = "float64") -> Any:
    """Return the output in `dtype`; what a pair hands over is rounded as kernels round it."""
    import torch

    kind = getattr(torch, dtype)
    x = {name: tensor.to(kind) for name, tensor in given.items()}
    value = x[problem["parts"][0]["a"]]
    for place, part in enumerate(problem["parts"]):
        found = product(part, value, x[part["b"]])
        if not place:
            found = found * problem["alpha"]
        value = steps(found, part["steps"], x.get(part["bias"]), x.get(part["residual"]))
        if place + 1 < len(problem["parts"]):
            value = value.to(getattr(torch, problem["element"])).to(kind)
    return value


def mismatch(problem: dict[str, Any], found: Any, wanted: Any) -> str:
    """Return how far `found` is from the reference, "" if within the plan's tolerance."""
    if problem["output"] in ("int8", "int32"):
        low, high = (-128, 127) if problem["output"] == "int8" else (-(2**31), 2**31 - 1)
        wanted = wanted.clamp(low, high)
    excess = (found.double() - wanted).abs()
    excess -= problem["absolute"] + problem["relative"] * wanted.abs()
    worst = float(excess.nan_to_num(nan=math.inf).max())
    return "" if worst <= 0 else f"{worst:.3g} beyond the tolerance"


def rivals(problem: dict[str, Any], like: dict[str, Any], compiles: bool) -> dict[str, Any]:
    """Return name -> function of operands that computes the problem by PyTorch, in its types.

    Args:
        problem: of the plan.
        like: operands such as the functions will get.
        compiles: whether torch.compile is among them; it compiles at the first call.
    """
    import torch

    chains = [part["steps"] for part in problem["parts"]]
    first = problem["parts"][0]

    def separate(given: dict[str, Any]) -> Any:
        value = given[first["a"]]
        for part in problem["parts"]:
            value = product(part, value, given[part["b"]])
            bias, residual = given.get(part["bias"]), given.get(part["residual"])
            bias = None if bias is None else bias.to(value.dtype)
            value = steps(value, part["steps"], bias, residual)
        return value

    plain = first["kind"] == "gemm" and like["a"].dim() == 2
    if problem["element"] == "int8":
        alone = plain and len(chains) == 1
        return {"int_mm": lambda g: torch.ops.aten._int_mm(g["a"], g["b"].T)} if alone else {}
    found: dict[str, Any] = {"vendor": separate}
    if compiles:
        found["compile"] = torch.compile(separate, mode="max-autotune-no-cudagraphs")
    fused = chains in ([["bias", "relu"]], [["bias", "gelu"]])
    if fused and plain:
        gelu = chains[0][1] == "gelu"  # cuBLASLt's is the tanh approximation
        found["cublaslt"] = lambda g: torch.ops.aten._addmm_activation(
            g["bias"], g["a"], g["b"].T if first["layout"] == "tn" else g["b"], use_gelu=gelu
        )
    if fused and first["kind"] == "conv2d" and chains[0][1] == "relu" and like["x"].is_cuda:
        moves = first["stride"], first["padding"], first["dilation"]
        found["cudnn_relu"] = lambda g: torch.cudnn_convolution_relu(
            g["x"].permute(0, 3, 1, 2), g["w"].permute(0, 3, 1, 2), g["bias"], *moves, 1
        ).permute(0, 2, 3, 1)
    return found


def timed(calls: list[Any]) -> dict[str, Any]:
    """Return median and quartiles of one call, in ns; `calls` are equal but for their operands."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for call in calls[:WARMUP]:
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            call()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def once(repeats: int) -> float:
        begin.record()
        for _ in range(repeats):
            graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e6 / repeats

    once(WARMUP)
    repeats = max(1, round(GRAPH_NS / max(1.0, once(1))))
    times = sorted(once(repeats) / len(calls) for _ in range(SAMPLES))
    low, high = times[len(times) // 4], times[-1 - len(times) // 4]
    middle = statistics.median(times)
    return {"median_ns": middle, "low_ns": low, "high_ns": high, "samples": len(times)}


class Bench:
    """Operands of one problem, rotated, and what is run on them."""

    def __init__(self, problem: dict[str, Any], l2_bytes: int) -> None:
        self.problem = problem
        size = sum(math.prod(t["shape"]) * BYTES[t["dtype"]] for t in problem["tensors"])
        count = min(MOST_SETS, max(LEAST_SETS, math.ceil(FULL * l2_bytes / size)))
        self.sets = [make_operands(problem, seed, "cuda") for seed in range(count)]
        self.wanted = reference(problem, self.sets[0])

    def kernel(self, row: dict[str, Any], kernel: Kernel) -> dict[str, Any]:
        """Return the result of one candidate."""
        import torch

        if kernel.status:
            return {"status": "rejected", "message": f"cutlass::Status {kernel.status}"}
        room = torch.zeros(max(16, kernel.workspace_bytes), dtype=torch.uint8, device="cuda")
        held = [(ctypes.c_void_p * len(s))(*(t.data_ptr() for t in s.values())) for s in self.sets]
        alpha = self.problem["alpha"]

        def call(pointers: Any) -> None:
            kernel.launch(pointers, alpha, room.data_ptr(), torch.cuda.current_stream().cuda_stream)

        output = self.sets[0]["d"]
        output.view(torch.uint8).fill_(0x7B)
        call(held[0])
        torch.cuda.synchronize()
        if why := mismatch(self.problem, output, self.wanted):
            return {"status": "wrong", "message": why}
        return {"status": "ok", **timed([lambda p=pointers: call(p) for pointers in held])}

    def rival(self, name: str, compiles: bool) -> dict[str, Any]:
        """Return the result of one rival; its error is told, never a reason to refuse it."""
        compute = rivals(self.problem, self.sets[0], compiles)[name]
        calls = [lambda g=given: compute(g) for given in self.sets]
        error = (calls[0]().double() - self.wanted).abs().max()
        return {"status": "ok", "worst_error": float(error), **timed(calls)}
