"""What can go wrong with Volt, as one small tree:

    VoltError
    ├── AuthError         the token is refused, or may not do this
    ├── NotFound          Volt says that the thing asked for does not exist
    ├── RateLimited       asked too often; `retry_after` seconds if Volt named them               retried
    ├── TransientError    no usable answer: connection, timeout, cut or garbled body, HTTP 5xx    retried
    │   └── Unreachable   the API was never reached in the life of this client
    ├── ContractError     Volt refuses or answers what its published API does not allow
    │   └── TooComplex    the document, or its answer, is larger than allowed
    ├── ServerError       Volt reports an error of its own, or of a kind not known here           tried 3 times
    └── Withdrawn         not sent: before its turn came, the caller did not want it any more

`retryable` and `attempts` are decided here, once, for reads; mutations are never retried. An error's text is written
for people. It never holds the token, a phone number or a message: texts of Volt's pass `redact` first, and no error
has a cause or context that could hold them. Nor do `paths`: they hold names that our own document has, and positions.
Errors can be pickled.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from volt_pipeline.errors import ExplainedError

# What proves that a mutation had no effect: no byte of it left, HTTP 429, or errors in an answer without `data`.
Proof = Literal["unsent", "throttled", "refused"]
Path = tuple[str | int, ...]  # a place in one answer: ("messages", 4, "body")


class VoltError(ExplainedError):
    """Something went wrong with `operation`.

    `whole` says that it concerns everything asked, not one item of it; `retry_after` is in seconds. `paths` are the
    places below the root field that Volt's errors name, each once; an error of the root field itself adds none. Of a
    mutation sent alone, `proof` is what proves by the letter of HTTP and GraphQL that it had no effect, None where
    nothing does; a TransientError's `ambiguous` asks for more than the letter, for words that are known here.
    """

    retryable: ClassVar[bool] = False
    attempts: ClassVar[int] = 0  # how often a read is tried in all, if retryable; 0: until its deadline

    def __init__(self, operation: str, message: str, *, whole: bool = False, retry_after: float | None = None) -> None:
        super().__init__(operation, message)
        self.operation = operation
        self.message = message
        self.whole = whole
        self.retry_after = retry_after
        self.paths: tuple[Path, ...] = ()
        self.proof: Proof | None = None

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}"


class AuthError(VoltError):
    """Volt refuses the token (`whole`), or the token may not see this one thing. Check VOLT_API_TOKEN."""


class NotFound(VoltError):
    """Volt says that what was asked for does not exist."""


class RateLimited(VoltError):
    """Volt asks to slow down, and still did when the deadline passed. Try later, or with less concurrency."""

    retryable = True


class TransientError(VoltError):
    """No usable answer came: try later.

    `ambiguous` says that the request may have been carried out: it left, and nothing proves that it was refused.
    `timed_out` says that the time allowed for one request passed. `because` is what Volt itself said, if it did.
    `beside` says that Volt answered, but with an error of another item only.
    """

    retryable = True

    def __init__(
        self,
        operation: str,
        message: str,
        *,
        whole: bool = False,
        retry_after: float | None = None,
        ambiguous: bool = False,
        timed_out: bool = False,
        because: VoltError | None = None,
        beside: bool = False,
    ) -> None:
        super().__init__(operation, message, whole=whole, retry_after=retry_after)
        self.ambiguous = ambiguous
        self.timed_out = timed_out
        self.because = because
        self.beside = beside


class Unreachable(TransientError):
    """Nothing ever answered at VOLT_API_URL."""


class ContractError(VoltError):
    """Volt refused the request, or answered in a way that its API text does not allow; asking again will not help."""


class TooComplex(ContractError):
    """The document, or the answer to it, is larger than allowed: ask for less at once."""


class ServerError(VoltError):
    """Volt answered with a GraphQL error of its own or of no known kind.

    Such an error is more often bad data than bad luck, so a read is tried three times, not until the deadline.
    """

    retryable = True
    attempts = 3


class Withdrawn(VoltError):
    """The mutation was not sent: whoever asked for it thought better of it while it waited for its turn."""
