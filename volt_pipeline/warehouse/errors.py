"""What can go wrong with the warehouse, in words for people.

    WarehouseError
    ├── WarehouseUnreachable    no server answers, or it refuses the login
    ├── WarehouseUnfit          too old, or without the rights that are needed
    ├── LeaseHeld               another run writes this account
    └── LeaseLost               this run was taken for dead and replaced: nothing more may be written

Postgres' own error texts carry row values (phones, bodies); only SQLSTATE and the server's class of error are told.
"""

from volt_pipeline.errors import ExplainedError


class WarehouseError(ExplainedError):
    """Base of the tree; the message says what happened, which setting it concerns and what to do."""


class WarehouseUnreachable(WarehouseError):
    """No server answers at WAREHOUSE_URL, or it refuses the login."""


class WarehouseUnfit(WarehouseError):
    """The server or the role cannot do what the pipeline needs."""


class LeaseHeld(WarehouseError):
    """Another live run holds an account."""


class LeaseLost(WarehouseError):
    """Another run has taken over an account of this one."""
