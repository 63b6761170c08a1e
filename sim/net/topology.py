"""Networks that papers use: the dumbbell and the parking lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.net.links import Capacity, DropTail, Link, Loss, Queue
from sim.net.scenario import Flow


def bdp_packets(rate_bps: float, rtt_ns: int, packet_bytes: int = 1514) -> int:
    """Return the bandwidth-delay product in packets, rounded, at least 1."""
    return max(1, round(rate_bps * rtt_ns / 1e9 / (8 * packet_bytes)))


def dumbbell(
    capacity: Capacity,
    one_way_ns: int,
    queue: Queue,
    flows: Sequence[Flow],
    loss: Loss | None = None,
    extra_rtt_ns: Sequence[int] = (),
) -> tuple[tuple[Link, ...], tuple[Flow, ...]]:
    """Return links and flows of a dumbbell: every flow shares one bottleneck.

    Args:
        capacity: of the bottleneck.
        one_way_ns: its propagation delay; the ACK path takes as long again.
        queue: of the bottleneck.
        flows: the flows; their paths and return delays are replaced.
        loss: random loss of the bottleneck.
        extra_rtt_ns: added to the RTT of each flow in turn, for flows with RTTs of their own; it
            is laid on the ACK path, which shifts when a packet meets the queue but not the RTT.
    """
    bottleneck = Link(capacity, one_way_ns, queue, loss, name="bottleneck")
    extra = [*extra_rtt_ns, *[0] * (len(flows) - len(extra_rtt_ns))]
    placed = tuple(
        replace(flow, path=(0,), return_delay_ns=one_way_ns + more)
        for flow, more in zip(flows, extra, strict=True)
    )
    return (bottleneck,), placed


def parking_lot(
    capacities: Sequence[Capacity],
    hop_ns: int,
    queue: Queue,
    through: Flow,
    crossing: Sequence[Flow],
) -> tuple[tuple[Link, ...], tuple[Flow, ...]]:
    """Return links and flows of a parking lot: one flow passes every hop, one crosses each.

    Args:
        capacities: of each hop.
        hop_ns: propagation delay of each hop; the ACK path takes as long as the way out.
        queue: of each hop.
        through: the flow that passes all hops.
        crossing: the flow that crosses each hop, as many as hops.

    Raises:
        ValueError: the numbers of hops and of crossing flows differ.
    """
    if len(crossing) != len(capacities):
        raise ValueError(f"{len(capacities)} hops need as many crossing flows, not {len(crossing)}")
    links = tuple(
        Link(capacity, hop_ns, queue, name=f"hop {i}") for i, capacity in enumerate(capacities)
    )
    whole_path = replace(through, path=tuple(range(len(links))), return_delay_ns=None)
    hops = tuple(replace(flow, path=(i,), return_delay_ns=None) for i, flow in enumerate(crossing))
    return links, (whole_path, *hops)


def buffer_of(bdp_share: float, rate_bps: float, rtt_ns: int, packet_bytes: int = 1514) -> DropTail:
    """Return a tail-drop queue of a share of the bandwidth-delay product, at least one packet."""
    packets = round(bdp_share * rate_bps * rtt_ns / 1e9 / (8 * packet_bytes))
    return DropTail(packets=max(1, packets))
