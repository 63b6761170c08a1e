"""What a path should measure, from the links that it was asked to have."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emu.topology.layout import Layout
from sim.net.links import Bernoulli, Constant, DropTail, GilbertElliott, Link, Loss

PING_BYTES = 98
FRAME_BYTES = 1514


@dataclass(frozen=True)
class Asked:
    """What a path from one host to another should measure.

    Attributes:
        rtt_ns: of a ping on the empty path.
        delay_ns: of that, what is not the ping's own transmission: the kernel's token buckets let
            one packet pass an idle link at once.
        rate_bps: of whole frames when overloaded; None: a capacity varies, or nothing limits.
        queue_ns: what a full queue of the bottleneck adds to the delay; None: more than one link.
        loss: share of packets that random loss takes; None: not measured, for a queue so short that
            an even stream overruns it.
        loss_burst: variance of the number lost, against independent losses.
    """

    rtt_ns: float
    delay_ns: float
    rate_bps: float | None
    queue_ns: float | None
    loss: float | None
    loss_burst: float = 1.0


def asked(layout: Layout, source: str, target: str) -> Asked:
    """Return what the path between two hosts of a layout should measure.

    Raises:
        EmulationError: there is no such host.
    """
    out, back = layout.path(source, target), layout.path(target, source)
    delay_ns = float(sum(link.delay_ns for link in (*out, *back)))
    rtt_ns = delay_ns + sum(_service_ns(link, PING_BYTES) for link in (*out, *back))
    constant = [link for link in out if isinstance(link.capacity, Constant)]
    rate = min((_rate(link) for link in constant), default=None)
    if len(constant) != len(out):
        rate = None
    passes = math.prod(1.0 - loss_share(link.loss) for link in out)
    burst = max((_burst(link.loss) for link in out), default=1.0)
    queue_ns = _queue_ns(out[0]) if rate is not None and len(out) == 1 else None
    return Asked(rtt_ns, delay_ns, rate, queue_ns, 1.0 - passes, burst)


def loss_share(loss: Loss | None) -> float:
    """Return the share of packets that a loss process takes in the long run."""
    if isinstance(loss, Bernoulli):
        return loss.p
    if isinstance(loss, GilbertElliott):
        if loss.to_bad == 0.0:
            return loss.loss_good
        bad = loss.to_bad / (loss.to_bad + loss.to_good)
        return bad * loss.loss_bad + (1.0 - bad) * loss.loss_good
    return 0.0


def _burst(loss: Loss | None) -> float:
    """Return a bound on how much burstiness widens the spread of the number lost."""
    if not isinstance(loss, GilbertElliott):
        return 1.0
    stays = abs(1.0 - loss.to_bad - loss.to_good)  # correlation from packet to packet
    return (1.0 + stays) / max(1e-9, 1.0 - stays)


def _rate(link: Link) -> float:
    assert isinstance(link.capacity, Constant)
    return float(round(link.capacity.rate_bps))


def _service_ns(link: Link, size: int) -> float:
    """Return how long a packet is served; on a trace, 0: it may meet any rate."""
    return size * 8e9 / _rate(link) if isinstance(link.capacity, Constant) else 0.0


def _queue_ns(link: Link) -> float | None:
    if not isinstance(link.queue, DropTail):
        return None
    packets = link.queue.packets or (link.queue.bytes or 0) // FRAME_BYTES
    return packets * _service_ns(link, FRAME_BYTES)
