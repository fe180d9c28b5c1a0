"""Every way in which Volt may misbehave, as switches of a running sandbox.

    with running(world) as sandbox:
        sandbox.faults.oldest_first = True
        sandbox.faults.null_fields.add(("Message", message.id, "status"))
        sandbox.faults.patch("Message", "status", "teleported", of=message.id)
        sandbox.faults.disturb(disturbances.reset(), times=2, when=lambda asked: asked.is_mutation, after_effect=True)
        ...
        sandbox.faults = Faults()  # all off again

All are off by default, may be turned at any time, also from another thread, and take effect with the next request.
What only this server does is here; what befalls the world itself (deletions, silent changes) is in interventions.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .fault_drift import DriftFaults
from .fault_fields import ANY, MISSING, FieldFaults, Patch
from .fault_paging import PagingFaults
from .fault_transport import Asked, TransportFaults, Trouble

__all__ = ["ANY", "MISSING", "Asked", "Faults", "Patch", "Trouble"]


@dataclass
class Faults(PagingFaults, FieldFaults, TransportFaults, DriftFaults):
    """The faults of one sandbox; each field says what it does and which trap it is. Off is false, none or empty."""

    @property
    def errs_in_paging(self) -> bool:
        return any(getattr(self, name) for name in _PAGING)

    @property
    def errs_in_execution(self) -> bool:
        """Whether a document must be executed under a middleware; without one, execution costs what it always does."""
        return any(getattr(self, name) for name in _EXECUTION)


_PAGING = [each.name for each in fields(PagingFaults) if not each.name.startswith("_")]
_EXECUTION = [*_PAGING, *(each.name for each in (*fields(FieldFaults), *fields(DriftFaults)))]
