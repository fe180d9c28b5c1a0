"""Which requests go wrong on their way, and which documents are too much for Volt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .disturbances import Disturbance
from .rate_limits import RateLimit


@dataclass(slots=True, frozen=True)
class Asked:
    """A request that the endpoint understood: what a fault may look at to choose it."""

    operation: str | None
    root_fields: list[str]
    variables: dict[str, Any]
    is_mutation: bool


@dataclass(slots=True, eq=False)
class Trouble:
    """One rule of `Faults.disturb`; `hits` counts the answers that it has spoilt."""

    disturbance: Disturbance
    times: int | None
    every: int
    when: Callable[[Asked], bool] | None
    after_effect: bool
    hits: int = 0
    _seen: int = 0

    def strikes(self, asked: Asked) -> bool:
        if self.hits == self.times or (self.when is not None and not self.when(asked)):
            return False
        self._seen += 1
        if self._seen % self.every:
            return False
        self.hits += 1
        return True


@dataclass
class TransportFaults:
    """The part of `Faults` about whole requests and answers."""

    troubles: list[Trouble] = field(default_factory=list)
    """The rules in force, as `disturb` adds them; the first that strikes decides. Clear it to end them all."""

    rewrite: Callable[[Asked, bytes], bytes] | None = None
    """The last word on the bytes of every answer: for what no JSON writer writes (NaN, a BOM, invalid UTF-8)."""

    rate_limit: RateLimit | None = None
    """Requests beyond it are refused with 429 and have no effect; those that are refused anyway do not count."""

    max_root_fields: int | None = None
    """Documents with more fields at their root are refused, all at once: Volt's limit is unknown and may change."""

    refuse_repeated_roots: bool = False
    """Documents that ask one root field twice, under aliases, are refused: no batching at all."""

    def disturb(
        self,
        disturbance: Disturbance,
        *,
        times: int | None = None,
        every: int = 1,
        when: Callable[[Asked], bool] | None = None,
        after_effect: bool = False,
    ) -> Trouble:
        """Answer requests with this disturbance: those for which `when` holds, every `every`-th, `times` at most.

        A mutation that is struck has no effect; `after_effect` lets it happen first, so that the world has changed
        and only the answer is lost. Requests that are refused anyway (token, syntax, validation) are not counted.
        """
        trouble = Trouble(disturbance, times, every, when, after_effect)
        self.troubles = [*self.troubles, trouble]
        return trouble

    def struck(self, asked: Asked) -> Trouble | None:
        return next((trouble for trouble in self.troubles if trouble.strikes(asked)), None)

    def is_too_complex(self, root_fields: list[str]) -> bool:
        if self.max_root_fields is not None and len(root_fields) > self.max_root_fields:
            return True
        return self.refuse_repeated_roots and max(Counter(root_fields).values(), default=0) > 1
