"""The relay's command line: links to words, and words back to links for the Python twin.

`relay run|replay [option=value ...] link option=value ... link ...`; `arguments.c` reads the same.
Traces travel in text files: lines "ns bit/s" of steps, "ns" of opportunities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emu.problems import EmulationError
from sim.net.links import (
    Bernoulli,
    Capacity,
    Constant,
    DropTail,
    GilbertElliott,
    Link,
    Loss,
    Opportunities,
    Stepped,
)

MOST_HELD_BYTES = 512 << 20
"""What one direction may hold in its queue and on its way."""

_GILBERT = ("to_bad", "to_good", "loss_bad", "loss_good")


@dataclass(frozen=True)
class Direction:
    """One direction of a link between two interfaces.

    Attributes:
        link: what it does to packets.
        seed: of its random loss, 0 to 2**64 - 1.
        enters, leaves: interfaces where packets come in and go out; "" in a replay.
    """

    link: Link
    seed: int = 0
    enters: str = ""
    leaves: str = ""


@dataclass(frozen=True)
class Options:
    """How a relay runs.

    Attributes:
        spin_ns: it stays awake for that long before a packet is due.
        realtime: it asks for real-time priority (SCHED_FIFO 50), and goes on without.
        sample_ns: time between samples of the queues; 0: none.
        samples: the file that gets them, JSON lines.
        packets: the file that gets the account of packets (`account`); "": none is kept.
    """

    spin_ns: int = 0
    realtime: bool = True
    sample_ns: int = 0
    samples: str = ""
    packets: str = ""


def check(link: Link) -> None:
    """Check that the relay can do what a link says.

    Raises:
        ScenarioError: a field is out of range.
        EmulationError: a field is in range, and the relay has no such thing.
    """
    link.check()
    part = f"link {link.name!r}"
    if not isinstance(link.queue, DropTail):
        kind = type(link.queue).__name__
        raise EmulationError(f"{part}: queue is {kind}; the relay has DropTail only")
    if link.jitter_ns:
        raise EmulationError(f"{part}: jitter_ns must be 0, the relay has none")
    on_the_way = _most_bps(link.capacity) * link.delay_ns / 8e9
    held = (link.queue.bytes or 1514 * (link.queue.packets or 0)) + on_the_way
    if held > MOST_HELD_BYTES:
        raise EmulationError(
            f"{part}: queue and delay_ns would hold {held / 2**20:.0f} MiB of packets, the relay "
            f"at most {MOST_HELD_BYTES >> 20}; make one of them, or the capacity, smaller"
        )


def _most_bps(capacity: Capacity) -> float:
    if isinstance(capacity, Constant):
        return capacity.rate_bps
    if isinstance(capacity, Stepped):
        return max(capacity.rate_bps)
    return len(capacity.at_ns) * 1514 * 8e9 / capacity.period_ns


def words(mode: str, options: Options, directions: Sequence[Direction], folder: Path) -> list[str]:
    """Return the relay's command line; traces are written into `folder`.

    Raises:
        ScenarioError, EmulationError: a link is not for the relay.
    """
    said = [mode, f"spin_ns={options.spin_ns}", f"realtime={int(options.realtime)}"]
    if options.samples:
        said += [f"samples={options.samples}", f"sample_ns={options.sample_ns}"]
    if options.packets:
        said.append(f"packets={options.packets}")
    for index, direction in enumerate(directions):
        check(direction.link)
        said += ["link", *_of_direction(direction, folder / f"trace-{index}.txt")]
    return said


def _of_direction(direction: Direction, trace: Path) -> Iterable[str]:
    link, queue = direction.link, direction.link.queue
    if direction.enters:
        yield f"in={direction.enters}"
        yield f"out={direction.leaves}"
    yield from _of_capacity(link.capacity, trace)
    yield f"delay_ns={link.delay_ns}"
    assert isinstance(queue, DropTail)
    yield f"queue_bytes={queue.bytes}" if queue.bytes else f"queue_packets={queue.packets}"
    if isinstance(link.loss, Bernoulli):
        yield from ("loss=bernoulli", f"p={float(link.loss.p)!r}")
    elif isinstance(link.loss, GilbertElliott):
        yield "loss=gilbert"
        yield from (f"{name}={min(1.0, float(getattr(link.loss, name)))!r}" for name in _GILBERT)
    yield f"seed={direction.seed}"


def _of_capacity(capacity: Capacity, trace: Path) -> Iterable[str]:
    if isinstance(capacity, Constant):
        yield f"rate_bps={round(capacity.rate_bps)}"
        return
    if isinstance(capacity, Stepped):
        points = zip(capacity.at_ns, capacity.rate_bps, strict=True)
        lines = [f"{at} {round(rate)}\n" for at, rate in points]
        yield f"steps={trace}"
    else:
        lines = [f"{at}\n" for at in capacity.at_ns]
        yield f"opportunities={trace}"
    trace.write_text("".join(lines), encoding="ascii")
    if capacity.period_ns:
        yield f"period_ns={capacity.period_ns}"


def parse(said: Sequence[str]) -> tuple[str, Options, list[Direction]]:
    """Return mode, options and directions of a command line that `words` wrote.

    Raises:
        EmulationError, ScenarioError: it is not one.
    """
    groups: list[dict[str, str]] = [{}]
    for word in said[1:]:
        name, equals, value = word.partition("=")
        if word == "link":
            groups.append({})
        elif equals:
            groups[-1][name] = value
        else:
            raise EmulationError(f"relay: {word!r} is not of the form option=value")
    try:
        head, directions = groups[0], [_direction(group) for group in groups[1:]]
        options = Options(
            int(head.get("spin_ns", "0")),
            head.get("realtime") == "1",
            int(head.get("sample_ns", "0")),
            head.get("samples", ""),
            head.get("packets", ""),
        )
    except (KeyError, OSError, ValueError) as error:
        raise EmulationError(f"relay: bad or missing option: {error}") from None
    return said[0], options, directions


def _direction(group: Mapping[str, str]) -> Direction:
    packets, in_bytes = group.get("queue_packets"), group.get("queue_bytes")
    queue = DropTail(int(packets) if packets else None, int(in_bytes) if in_bytes else None)
    link = Link(_capacity(group), int(group["delay_ns"]), queue, _loss(group))
    check(link)
    return Direction(link, int(group["seed"]), group.get("in", ""), group.get("out", ""))


def _capacity(group: Mapping[str, str]) -> Capacity:
    if "rate_bps" in group:
        return Constant(int(group["rate_bps"]))
    period = int(group["period_ns"]) if "period_ns" in group else None
    path = Path(group.get("steps") or group["opportunities"])
    points = [[int(x) for x in line.split()] for line in path.read_text("ascii").splitlines()]
    if "steps" in group:
        at, rates = zip(*points, strict=True)
        return Stepped(at, rates, period)
    if period is None:
        raise EmulationError("relay: opportunities need a period_ns")
    return Opportunities(tuple(at for (at,) in points), period)


def _loss(group: Mapping[str, str]) -> Loss | None:
    if group.get("loss") == "bernoulli":
        return Bernoulli(float(group["p"]))
    if group.get("loss") == "gilbert":
        return GilbertElliott(**{name: float(group[name]) for name in _GILBERT})
    return None
