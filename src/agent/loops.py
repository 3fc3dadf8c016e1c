"""What a loop is. Pure functions on the calls of one run; the guard and the benchmark share them.

Tools are deterministic: with no write between, the same call gives the same result. So a call is
*repeated* when its key occurred since the last write, and a run *loops* when repetition goes on.
"""

import hashlib
import inspect
import json
import posixpath
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

STREAK = 3  # the same call with the same result, one after the other
OFTEN = 4  # the same call with the same result, anywhere since the last write
LONGEST_CYCLE = 5  # A-B-A-B up to A-B-C-D-E-A-B-C-D-E
ERRORS = 3  # the same error one after the other, whatever the arguments


class Call(NamedTuple):
    """One tool call: who (`key`), what came back (`result`, a hash), and what it changed."""

    key: str
    result: str
    wrote: bool = False
    failed: bool = False


def call_key(tool: str, arguments: Mapping[str, Any], root: str = "") -> str:
    """The call's identity: tool and canonical arguments, defaults filled and paths resolved."""
    full = {**_defaults(tool), **arguments}
    if isinstance(full.get("path"), str):
        full["path"] = _resolve(full["path"], root)
    return f"{tool} {json.dumps(full, sort_keys=True, ensure_ascii=False, default=str)}"


def result_hash(text: str) -> str:
    """A short hash of a tool result."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def window(calls: Sequence[Call]) -> Sequence[Call]:
    """The calls since the last write that changed something new.

    A write made before in this run is no progress: two edits undoing each other do not reset.
    """
    start = 0
    written: set[str] = set()
    for index, call in enumerate(calls):
        if call.wrote and call.key not in written:
            written.add(call.key)
            start = index
    return calls[start:]


def repeated(calls: Sequence[Call], key: str) -> bool:
    """Whether a call with this key would repeat one whose result still stands."""
    return any(call.key == key for call in window(calls))


def predicted(calls: Sequence[Call], key: str) -> Call:
    """The call as it would turn out if executed now: as it did last time, if there was one."""
    for call in reversed(window(calls)):
        if call.key == key:
            return call
    return Call(key, "")


def find(calls: Sequence[Call]) -> str | None:
    """What kind of loop the calls end in, or None.

    Returns:
        "identical" (one call again and again), "cycle" (A-B-A-B and longer), "errors" (one error
        again and again) or None. An edit, a look and a new edit are no loop: the write between
        starts afresh.
    """
    recent = window(calls)
    seen = [(call.key, call.result) for call in recent]
    if not seen:
        return None
    if (len(seen) >= STREAK and len(set(seen[-STREAK:])) == 1) or seen.count(seen[-1]) >= OFTEN:
        return "identical"
    for period in range(2, LONGEST_CYCLE + 1):
        if len(seen) >= 2 * period and seen[-period:] == seen[-2 * period : -period]:
            return "cycle"
    last = recent[-ERRORS:]
    if len(last) == ERRORS and all(call.failed for call in last):
        return "errors" if len({call.result for call in last}) == 1 else None
    return None


@cache
def _defaults(tool: str) -> Mapping[str, Any]:
    from agent_tools import TOOLS

    for function in TOOLS:
        if function.__name__ == tool:
            parameters = inspect.signature(function).parameters.values()
            return {p.name: p.default for p in parameters if p.default is not p.empty}
    return {}


def _resolve(path: str, root: str) -> str:
    path = path.replace("\\", "/")
    if root and (path == root or path.startswith(root.rstrip("/") + "/")):
        path = posixpath.relpath(path, root)
    return posixpath.normpath(path) if path else "."
