"""Progress of one request and of one step in the reference engine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Request:
    """One request's progress."""

    index: int
    prompt: int
    output: int
    target: int
    generated: int = 0
    computed: int = 0
    computed_before: int = 0
    prefill_until: int = 0
    blocks: list[int] = field(default_factory=list)
    scheduled: bool = False
    fresh: bool = False

    @property
    def known(self) -> int:
        """Tokens whose values are known: prompt and generated ones."""
        return self.prompt + self.generated

    @property
    def reserve(self) -> int:
        """KV tokens counted for it by `kv_reserve`."""
        return max(self.known, self.target)


@dataclass
class Step:
    """What one step has taken so far."""

    budget: int
    tokens: int = 0
    prefill_tokens: int = 0
    prefills: int = 0
    pairs: int = 0
    decodes: int = 0
    kv_tokens: int = 0
    preempted: bool = False
