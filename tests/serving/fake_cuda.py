"""A `torch.cuda` that only notes: what was queued on which stream, and who waits for what."""

from __future__ import annotations

import contextlib


class Event:
    """An event of the fake; `elapsed_time` is the number of notes between two."""

    def __init__(self, cuda, enable_timing=False):
        self.cuda, self.at = cuda, None

    def record(self, stream):
        self.at = len(self.cuda.log)
        self.cuda.log.append(("record", stream.name, self))

    def synchronize(self):
        assert self.at is not None

    def elapsed_time(self, other):
        return float(other.at - self.at)


class Stream:
    """A stream of the fake."""

    def __init__(self, cuda, priority=0):
        self.cuda, self.priority = cuda, priority
        self.name = f"stream {len(cuda.streams)}"
        cuda.streams.append(self)

    def wait_event(self, event):
        assert event.at is not None  # waiting for what was never recorded waits for nothing
        self.cuda.log.append(("wait", self.name, event))

    def wait_stream(self, other):
        self.wait_event(other.record_event())

    def record_event(self, event=None):
        event = event or Event(self.cuda)
        event.record(self)
        return event


class Cuda:
    """The module of the fake."""

    def __init__(self):
        self.log, self.streams = [], []
        self.main = Stream(self)
        self.now = self.main

    def Stream(self, priority=0):
        return Stream(self, priority)

    def Event(self, enable_timing=False):
        return Event(self, enable_timing)

    def current_stream(self):
        return self.now

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream
        yield
        self.now = before

    def synchronize(self):
        self.log.append(("synchronize", "", None))

    def _sleep(self, cycles):
        assert cycles > 1_000_000
        self.do("held")

    def do(self, what):
        """Note work on the current stream."""
        self.log.append((what, self.now.name, None))

    def before(self, place):
        """Return the places of the log that are sure to be over when that at `place` begins."""
        name = self.log[place][1]
        seen, todo = set(), [(name, place)]
        while todo:
            name, end = todo.pop()
            for i in range(end):
                kind, where, event = self.log[i]
                if where == name and i not in seen:
                    seen.add(i)
                    if kind == "wait":
                        todo.append((self.log[event.at][1], event.at + 1))
        return seen
