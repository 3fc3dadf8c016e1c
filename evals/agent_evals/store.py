"""The folder of a run: `manifest.json`, and `results.jsonl` with one finished case a line.

Results are only ever appended, each in one piece, and addressed by what they are results of. A
process that dies while it writes leaves at most one torn last line, which is no result.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent import records
from agent.exits import AgentError, UsageError
from agent_evals.judge import Verdict
from agent_evals.transcript import Call

MANIFEST, RESULTS = "manifest.json", "results.jsonl"
_LOCK = ".lock"


@dataclass(frozen=True)
class Row:
    """A finished case: what was asked, what the run did, and the verdict on it.

    `key` addresses it: see `key`. `seconds` is the whole run as the assistant measured it,
    `first_token_seconds` until the endpoint's first byte, `overhead_seconds` what was not spent
    waiting for the endpoint. `model` is what the endpoint said of itself: name and weights' hash.
    """

    id: str
    label: str
    subtype: str
    verdict: Verdict
    ended: str
    question: str = ""
    fixture: str = ""
    lang: str = "en"
    pair: str | None = None
    family: str = ""
    split: str = ""
    key: str = ""
    configuration: str = ""
    epoch: int = 0
    calls: tuple[Call, ...] = ()
    answer: str = ""
    message: str = ""
    turns: int = 1
    seconds: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict)
    interventions: tuple[str, ...] = ()
    model: Mapping[str, str | None] = field(default_factory=dict)
    first_token_seconds: float | None = None
    overhead_seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens that the model wrote."""
        return self.usage.get("output_tokens", 0)

    @property
    def weights(self) -> str | None:
        """The hash of the weights that answered, if the endpoint reports one."""
        return self.model.get("hash")

    def as_line(self) -> bytes:
        """The row as it stands in the file."""
        return records.line(asdict(self))

    def slim(self) -> "Row":
        """Without its texts: all that figures are made of, and small."""
        return replace(self, calls=(), question="", answer="", message="")


@cache
def _adapter() -> TypeAdapter[Row]:
    return TypeAdapter(Row)


def row(fields: Mapping[str, Any]) -> Row:
    """The row with these fields; others are ignored."""
    return _adapter().validate_python(fields)


@dataclass(frozen=True)
class Run:
    """What a folder holds."""

    manifest: Mapping[str, Any]
    rows: list[Row]


def key(case: str, fixture: str, configuration: str, epoch: int) -> str:
    """The address of a result: a hash over the contents of what it is a result of."""
    parts = (case, fixture, configuration, str(epoch))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(run: Path) -> Run:
    """A finished or broken-off run.

    Raises:
        UsageError: the folder holds no run, or something in it is no result.
    """
    return Run(manifest(run), list(rows(run)))


def manifest(run: Path) -> dict[str, Any]:
    """What was measured. Raises UsageError as `read` does."""
    path = run / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{run} is not the folder of a run: it has no {MANIFEST}.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no manifest of a run; take another folder.")
    return found


def rows(run: Path) -> Iterator[Row]:
    """The results in the order in which they came, each key once; a torn last line is left out.

    Raises:
        UsageError: there is no file, or a whole line of it is no result.
    """
    path = run / RESULTS
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    found = _adapter().validate_json(line)
                except ValidationError:
                    raise UsageError(f"{path}, line {number}: this is no result.") from None
                if found.key and found.key in seen:
                    continue
                seen.add(found.key)
                yield found
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


class Store:
    """A run's folder, opened for this process alone; a context manager.

    `keys` are those of the results that are there.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        """Makes the folder if need be. `fresh`: results that are there are moved aside.

        Raises:
            UsageError: another run writes into the folder, it cannot be made, or it holds
                something else than a run.
        """
        self.folder = folder
        self.fresh = fresh
        self.path = folder / RESULTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(f"--out {str(folder)!r} cannot be made: {error.strerror}.") from None
        try:
            self._hold()
            self._open(fresh)
        except BaseException:
            os.close(self._lock)
            raise

    def _hold(self) -> None:
        try:
            records.hold(self._lock)
        except BlockingIOError:
            raise UsageError(
                f"Another run writes into {self.folder}; wait for it, or choose another --out."
            ) from None

    def _open(self, fresh: bool) -> None:
        if fresh and self.path.exists():
            others = (self.path.with_name(f"results-{n}.jsonl") for n in count(1))
            self.path.rename(next(path for path in others if not path.exists()))
            (self.folder / MANIFEST).unlink(missing_ok=True)
        self.manifest: dict[str, Any] | None = None
        if (self.folder / MANIFEST).exists():
            self.manifest = manifest(self.folder)
        elif self.path.exists() and self.path.stat().st_size:
            raise UsageError(
                f"{self.folder} already holds results, but no {MANIFEST}; choose another --out."
            )
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        records.cut_torn_line(self._file)
        self.weights: dict[str, str] = {}
        self.keys: set[str] = set()
        for found in rows(self.folder):
            self.keys.add(found.key)
            if found.weights:
                self.weights[found.configuration] = found.weights

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)
        os.close(self._lock)

    def add(self, result: Row) -> None:
        """Append a result; once this returns, it survives whatever becomes of the process.

        Raises:
            AgentError: it cannot be written, because the disk is full, say. Those before it stay.
        """
        size = os.fstat(self._file).st_size
        line = result.as_line()
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, size)
            raise AgentError(f"{self.path} cannot be written: {error.strerror}.") from None
        self.keys.add(result.key)

    def describe(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, whole or not at all. Raises AgentError where it cannot be."""
        fresh = self.folder / f"{MANIFEST}.new"
        try:
            fresh.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            fresh.replace(self.folder / MANIFEST)
        except OSError as error:
            raise AgentError(f"{fresh} cannot be written: {error.strerror}.") from None
        self.manifest = manifest
