"""What dbt says of a failure, without what Postgres repeats of a row there: a name, a phone, a message.

Postgres quotes the value that it could not take, and puts whole rows into DETAIL and CONTEXT. Of such a message the
first sentence is kept, with the names of tables and columns in it, and the line of the model; other quotations are left
out.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from volt_pipeline.errors import ExplainedError

_MARK = re.compile(r"Database Error in .*\n")
_END = re.compile(r"^ *compiled code at ", re.MULTILINE)
_LINE = re.compile(r"^ *LINE \d+: .*\n.*$", re.MULTILINE)  # of the model, with a mark below
_REST = re.compile(r"^ *(?:LINE \d+|DETAIL|CONTEXT|HINT|QUERY|WHERE): ", re.MULTILINE)
# Before a quotation: what it quotes is a name, or the model's own text.
_NAMES = "column constraint database encoding function index name near operator parameter reference relation role"
_NAMES += " schema sequence table type view"
_QUOTED_NAME = re.compile(rf'\b(?:{"|".join(_NAMES.split())}) "[\w$.]+"')
_MOST = 10  # failures that are named


class MartsFailed(ExplainedError):
    """dbt could not build everything, or a data test failed."""


def without_values(text: str) -> str:
    """One message of dbt's; unchanged where it is not about an error of the database."""
    mark = _MARK.search(text)
    if mark is None:
        return text
    end = _END.search(text, mark.end())
    told, after = (text[mark.end() : end.start()], text[end.start() :]) if end else (text[mark.end() :], "")
    line = _LINE.search(told)
    kept = [_sentence(told), *([line[0].rstrip()] if line else [])]
    return text[: mark.end()] + "\n".join(kept) + "\n" + after


def _sentence(told: str) -> str:
    """From the first quotation that may hold a value to the last one, all is left out: a value may hold quotes, too."""
    rest = _REST.search(told)
    told = (told[: rest.start()] if rest else told).rstrip()
    names = [range(*found.span()) for found in _QUOTED_NAME.finditer(told)]
    quotes = [at for at, character in enumerate(told) if character == '"' and not any(at in name for name in names)]
    return f'{told[: quotes[0]]}"…"{told[quotes[-1] + 1 :]}' if quotes else told


class Discreet(io.TextIOBase):
    """Where dbt's messages are written to, each at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(without_values(text))
        return len(text)

    def flush(self) -> None:
        self._out.flush()


def in_words(results: Sequence[Mapping[str, Any]]) -> str:
    """What failed, in one sentence, from the results in dbt's run_results.json."""
    failed = [result for result in results if result["status"] in ("error", "fail", "runtime error")]
    skipped = sum(result["status"] == "skipped" for result in results)
    told = [f"{_what(result)} ({_why(result)})" for result in failed[:_MOST]]
    if len(failed) > _MOST:
        told.append(f"{len(failed) - _MOST} more")
    if skipped:
        told.append(f"{skipped} left out because of that")
    return f"dbt could not build everything: {'; '.join(told)}."


def _what(result: Mapping[str, Any]) -> str:
    kind, _, name, *_ = str(result["unique_id"]).split(".")
    return f"{kind} {name}"


def _why(result: Mapping[str, Any]) -> str:
    message = without_values(str(result["message"] or "no reason was given"))
    mark = _MARK.match(message)
    return " ".join((message[mark.end() :] if mark else message).split("\n  compiled code")[0].split())[:200]
