"""Who waits for whom on a GPU's streams, on a `torch.cuda` that only notes."""

from __future__ import annotations

import types

import pytest

from serving.overlap.on_gpu.clocks import PRIORITIES, ROUNDS, CudaClock
from serving.overlap.on_gpu.decoder import Decoder
from serving.overlap.on_gpu.engine import parts_of, timed
from serving.overlap.on_gpu.pages import Pages
from serving.overlap.on_gpu.parts import PartMaker
from serving.overlap.on_gpu.shapes import MODELS
from tests.needs import need
from tests.serving.fake_cuda import Cuda
from tests.serving.test_gpu_engine import _schedule


class Layer:
    """Kernels that note that they were queued."""

    def __init__(self, cuda):
        self.cuda = cuda

    def gemms(self):
        self.cuda.do("gemms")

    def attention(self):
        self.cuda.do("attention")


@pytest.mark.parametrize("priority", PRIORITIES)
def test_the_clock_holds_back_both_streams_and_waits_for_both(priority):
    """All work lies between the two events; nothing on one stream waits for the other."""
    cuda = Cuda()
    clock = CudaClock(types.SimpleNamespace(cuda=cuda))
    assert clock.ms(Layer(cuda), True, True, priority) > 0
    log = cuda.log
    work = [i for i, (what, *_) in enumerate(log) if what in ("gemms", "attention")]
    assert len(work) == 2 * ROUNDS
    begin = next(i for i, (what, *_) in enumerate(log) if what == "record")
    held = next(i for i, (what, *_) in enumerate(log) if what == "held")
    for i in work:
        assert {held, begin} <= cuda.before(i)
        others = {j for j in cuda.before(i) & {*work} if log[j][0] != log[i][0]}
        assert not others
    end = max(i for i, entry in enumerate(log) if entry[:2] == ("record", cuda.main.name))
    assert {*work} <= cuda.before(end)
    names = {log[i][0]: log[i][1] for i in work}
    by_name = {stream.name: stream.priority for stream in cuda.streams}
    assert by_name[names["attention"]] == PRIORITIES[priority]
    assert by_name[names["gemms"]] == 0


def test_alone_only_one_part_is_queued():
    cuda = Cuda()
    clock = CudaClock(types.SimpleNamespace(cuda=cuda))
    clock.ms(Layer(cuda), False, True)
    assert {what for what, *_ in cuda.log} & {"gemms", "attention"} == {"attention"}


class Noted(Decoder):
    """A decoder on the CPU that notes its operators on the fake's streams."""

    cuda: Cuda

    def _before(self, layer, part, x, rotation):
        self.cuda.do(("before", layer, id(part)))
        return super()._before(layer, part, x, rotation)

    def _of_decodes(self, layer, part, query, out):
        self.cuda.do(("decode", layer, id(part)))
        super()._of_decodes(layer, part, query, out)

    def _after(self, layer, x, attended):
        self.cuda.do(("after", layer))
        return super()._after(layer, x, attended)


def test_nano_batches_overlap_and_keep_what_depends_in_order(tmp_path, monkeypatch):
    """Decode attention begins after its own Q, K and V, ends before its own feed-forward part,

    and waits for nothing of the other nano-batch that comes later.
    """
    need("torch")
    import torch

    class Torch:
        cuda = Cuda()

        def __getattr__(self, name):
            return getattr(torch, name)

    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    fake = Torch()
    schedule = _schedule(tmp_path, 3)
    pages, model = Pages(schedule, 400), MODELS["tiny"]
    decoder = Noted(torch, model, 400, 4, "cpu", torch.float64, "gather")
    decoder.torch, decoder.cuda, decoder.device = fake, fake.cuda, "cuda"
    decoder.memory_stream = fake.cuda.Stream(priority=-1)
    maker = PartMaker(torch, pages, model.vocabulary, "cpu")
    steps = []
    for step in schedule.steps[:12]:
        pages.begin(step)
        steps.append(parts_of(step, maker, "overlapped"))
    with torch.inference_mode():
        found = timed(fake, decoder, steps, "overlapped")
    assert len(found["step_ms"]) == len(found["host_ms"]) == 12
    assert all(ms > 0 for ms in found["step_ms"])
    _check_order(fake.cuda, model.layers, steps)


def _check_order(cuda, layers, steps):
    place = {what: i for i, (what, *_) in enumerate(cuda.log) if what[0] in ("before", "decode")}
    after = iter([i for i, (what, *_) in enumerate(cuda.log) if what[0] == "after"])
    beside = 0
    for parts in steps:
        ends = {}
        for layer in range(1, layers + 1):
            for part in parts:
                ends[layer - 1, id(part)] = next(after)
        for layer in range(layers):
            for part in parts:
                decode = place["decode", layer, id(part)]
                assert cuda.log[decode][1] != cuda.main.name
                over = cuda.before(decode)
                assert place["before", layer, id(part)] in over
                assert decode in cuda.before(ends[layer, id(part)])
                others = [i for (at, who), i in ends.items() if who != id(part) and at == layer]
                beside += sum(i not in over and decode not in cuda.before(i) for i in others)
    halved = sum(len(parts) == 2 for parts in steps)
    assert halved > 4
    assert beside >= halved  # the feed-forward part of one beside the attention of the other
