"""Small profiles and recorded runs, written in the formats that the readers know."""

import itertools
import json

import numpy as np

from serving.profiles.llmservingsim import PER_LAYER, PER_SEQUENCE, PER_STEP
from serving.profiles.vidur import GEMMS, OTHERS

GPU, MODEL = "NVIDIA Test 1", "hub/Test-8B"
STARTED = 1_700_000_000.0


def launch_us(chunk, prefill_kv, decodes, decode_kv):
    """Return a made-up attention time: linear in each axis, as the interpolation is."""
    prefill = chunk * (40 + prefill_kv) / 500
    return 3 + prefill + decodes * (2 + decode_kv / 50) * (1 + 0.5 * (chunk > 0))


def write_profile(folder, launch=launch_us, max_tokens=2048, **meta):
    """Write a kernel profile; every dense kernel takes 1 us and 0.01 us per token."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = [1, 8, 64, 512, max_tokens]
    for name, by, layers in (
        ("dense", "tokens", {**PER_LAYER, **PER_STEP}),
        ("per_sequence", "sequences", PER_SEQUENCE),
    ):
        rows = [f"{layer},{n},{1 + 0.01 * n:.4f}" for layer in layers for n in counts]
        (folder / f"{name}.csv").write_text("\n".join([f"layer,{by},time_us", *rows]) + "\n")
    rows = ["prefill_chunk,kv_prefill,n_decode,kv_decode,time_us"]
    axes = ([0, 16, 256, 2048], [0, 16, 4096], [0, 1, 8, 64], [0, 16, 4096])
    for chunk, before, decodes, kv in itertools.product(*axes):
        if (chunk or decodes) and (chunk or not before) and (decodes > 0) == (kv > 0):
            rows.append(f"{chunk},{before},{decodes},{kv},{launch(chunk, before, decodes, kv):.6f}")
    (folder / "attention.csv").write_text("\n".join(rows) + "\n")
    own = {"gpu": GPU, "model": MODEL, "architecture": "llama"} | meta
    (folder / "meta.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in own.items()))
    return folder


def write_dataset(path, requests=40, seed=0):
    """Write requests with token ids, of which many share their beginning."""
    rng, rows, at = np.random.default_rng(seed), [], 0
    for _ in range(requests):
        ids = [7] * int(rng.integers(0, 40)) + rng.integers(0, 9, rng.integers(5, 90)).tolist()
        at += int(rng.integers(0, 4_000_000))
        fields = {"input_tok_ids": ids, "output_toks": int(rng.integers(2, 60))}
        rows.append(json.dumps(fields | {"arrival_time_ns": at}))
    path.write_text("\n".join(rows) + "\n")
    return path


def write_run(folder, trace, times, dataset_sha256, **changes):
    """Write a recorded run of the trace; `times` are queued, first and last, in s."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {
        "model": MODEL,
        "vllm_version": "0.0.1",
        "started_at": "2023-11-14T22:13:20Z",
        "dataset_hash": dataset_sha256,
        "hardware": {"device_name": GPU},
        "engine_kwargs": {"max_num_seqs": 16, "max_num_batched_tokens": 256},
        "kv_cache": {"num_gpu_blocks": 60, "block_size": 8, "enable_prefix_caching": True},
        "resolved_config": {"scheduler_config": {"scheduler_reserve_full_isl": True}},
    }
    (folder / "meta.json").write_text(json.dumps(meta | changes))
    rows = []
    for i, (queued, first, last) in enumerate(np.transpose(times)):
        fields = {"input_toks": int(trace.prompt_tokens[i])}
        fields |= {"output_toks": int(trace.output_tokens[i]), "arrival_time": STARTED + queued}
        fields |= {"queued_ts": 5 + queued, "first_token_ts": 5 + first, "last_token_ts": 5 + last}
        rows.append(json.dumps(fields))
    (folder / "requests.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "timeseries.csv").write_text(
        "t,running,waiting,kv_cache_pct\n0.5,1,0,5.0\n1.5,0,0,0\n"
    )
    return folder


def write_dense(path, degrees=(1, 2), last=4096):
    """Write a profile like Vidur's: 0.2 ms a layer and GPU, and waves of 128 tokens."""
    names = [f"time_stats.{op}.{s}" for op in (*GEMMS, *OTHERS) for s in ("median", "std")]
    shape = {"n_head": 32, "n_kv_head": 8, "n_embd": 4096, "n_expanded_embd": 14336}
    shape["vocab_size"] = 128256
    header = [*names, *shape, "num_tokens", "num_tensor_parallel_workers"]
    rows = [",".join(header)]
    for degree, tokens in itertools.product(degrees, [1, *range(64, last + 1, 64)]):
        ms = (0.05 + 0.06 * -(-tokens // 128)) / degree
        times = [x for _ in (*GEMMS, *OTHERS) for x in (f"{ms:.5f}", "0.001")]
        rows.append(",".join([*times, *map(str, shape.values()), str(tokens), str(degree)]))
    path.write_text("\n".join(rows) + "\n")
    return path
