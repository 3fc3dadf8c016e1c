"""What happened in a session, written down while it happens.

Every record is one write at the end of the file, so that a killed process loses at most the record
it was writing; a turn is on the disk before its answer is shown. Only one process at a time has a
session open. What is recorded is what the user said, what the model was shown, and what it did.
"""

import errno
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from agent import records, sessions
from agent.events import Event, Init, Result, ToolResult, ToolUse
from agent.exits import AgentError, UsageError

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

FORMAT = 1
_RESULT = 2000  # characters of a tool result; the model's messages have all of it
# Of an endless session no more is read than the model can: bytes of the file for a token, and how
# many where its window is not known.
_PER_TOKEN = 8
_UNKNOWN_WINDOW = 1 << 16
# Not part of the conversation: the prompt of today comes first, and an address may hold a password.
_NOT_KEPT = {"__all__": {"instructions", "provider_url", "failed_attempts"}}
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


class Journal:
    """One session, open for this process alone; a context manager.

    `problem` says, once something could not be saved, why nothing more is. `left_out` is the
    number of turns that `history` did not go back to.
    """

    def __init__(self, root: Path, session_id: str, home: Path | None = None) -> None:
        self.root = root
        self._home = home
        self._descriptor: int | None = None
        self._begin(session_id)

    def _begin(self, session_id: str) -> None:
        self.session_id = session_id
        self.problem: str | None = None
        self.left_out = 0
        self._turn = 0
        self._asked = False
        self._mode: str | None = None
        self._arguments: dict[str, Any] = {}

    @classmethod
    def create(cls, root: Path, home: Path | None = None) -> "Journal":
        """A new session of the codebase at `root`; its file begins with the first record."""
        return cls(root, uuid.uuid4().hex, home)

    @classmethod
    def resume(cls, root: Path, session_id: str | None, home: Path | None = None) -> "Journal":
        """Go on with the session whose id begins so, or with the latest.

        Raises:
            UsageError: there is no such session, or it is open in another process.
        """
        found = sessions.find(root, session_id, home) if session_id is not None else None
        path = found or sessions.newest(root, home)
        journal = cls(root, path.stem, home)
        journal._descriptor = records.claim(path)
        records.cut_torn_line(journal._descriptor)
        for record, _ in records.backwards(journal._descriptor):
            if isinstance(record.get("turn"), int):
                journal._turn = record["turn"]
                break
        return journal

    @property
    def path(self) -> Path:
        """The session's file."""
        return sessions.folder(self.root, self._home) / f"{self.session_id}.jsonl"

    def record(self, kind: str, **fields: Any) -> None:
        """Append a record; what cannot be saved is told in `problem` and never raised."""
        if self.problem is not None:
            return
        try:
            if self._descriptor is None:
                self._descriptor = self._create_file()
            self._append(self._descriptor, kind, fields)
        except (OSError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.problem = f"This session is not recorded any more ({self.path}: {reason})."

    def asked(self, question: str) -> None:
        """A turn begins."""
        self._turn += 1
        self._asked = True
        self.record("asked", turn=self._turn, question=question)

    def turn(
        self, question: str, result: Result, new_messages: "Sequence[ModelMessage]" = ()
    ) -> None:
        """A turn ended; `new_messages` are what it adds to the conversation. On disk on return."""
        if not self._asked:
            self.asked(question)
        self._asked = False
        self.record(
            "answered",
            turn=self._turn,
            subtype=result.subtype,
            answer=result.result,
            message=_PASSWORD.sub("", result.message),
            model=dict(result.model),
            usage=dict(result.usage),
            num_turns=result.num_turns,
            duration_ms=result.duration_ms,
            interventions=list(result.interventions),
            messages=_dump(new_messages),
        )
        self._sync()

    def compacted(self, messages: "Sequence[ModelMessage]") -> None:
        """From here on the conversation is these messages and what follows."""
        self.record("compacted", turn=self._turn, messages=_dump(messages))
        self._sync()

    def rated(self, verdict: Literal["good", "bad", "fix"], note: str = "") -> None:
        """The user's judgement of the last answer; the note of a `fix` is the right one."""
        self.record("rated", turn=self._turn, verdict=verdict, note=note)
        self._sync()

    def undone(self, path: str, outcome: str, reason: str = "") -> None:
        """A write was taken back, or not, for a reason."""
        self.record("undone", path=path, outcome=outcome, reason=reason)
        self._sync()

    def subscriber(self, event: Event) -> None:
        """Record the tool calls, denials and permission modes of a run."""
        if isinstance(event, Init) and event.permission_mode != self._mode:
            self._mode = event.permission_mode
            self.record("mode", mode=event.permission_mode)
        elif isinstance(event, ToolUse):
            self._arguments[event.id] = event.arguments
        elif isinstance(event, ToolResult):
            self.record(
                "denied" if event.outcome == "denied" else "called",
                tool=event.name,
                arguments=self._arguments.pop(event.id, {}),
                outcome=event.outcome,
                result=_cut(event.result),
                duration_ms=event.duration_ms,
            )

    def history(self, window: int | None = None) -> "list[ModelMessage]":
        """The conversation so far, of an endless one the latest turns.

        `window`: how many tokens the model can read, if that is known.

        Raises:
            AgentError: another version of PydanticAI wrote messages that this one cannot read.
        """
        if self._descriptor is None:
            return []
        turns: list[Any] = []
        size, limit = 0, _PER_TOKEN * (window or _UNKNOWN_WINDOW)
        self.left_out = 0
        for record, length in records.backwards(self._descriptor):
            messages = record.get("messages")
            size += length if messages else 0
            if turns and size > limit:
                self.left_out = int(record.get("turn", 0))
                break
            if messages:
                turns.append(messages)
            if record["kind"] == "compacted":
                break
        return _load([message for turn in reversed(turns) for message in turn], self.session_id)

    def restart(self) -> None:
        """Close this session and begin another in the same project."""
        self.close()
        self._begin(uuid.uuid4().hex)

    def close(self) -> None:
        """Let go of the session; another process may resume it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _create_file(self) -> int:
        folder = self.path.parent
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            records.hold(descriptor)
            directory = str(self.root.resolve())
            self._append(descriptor, "began", {"format": FORMAT, "directory": directory})
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _append(self, descriptor: int, kind: str, fields: dict[str, Any]) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = records.line({"kind": kind, "time": time, **fields})
        # Part of a record is worse than none: the next one would be lost with it.
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync(self) -> None:
        if self._descriptor is None or self.problem is not None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.problem = f"This session may not be saved ({self.path}: {error.strerror})."


@contextmanager
def reopened(root: Path, session_id: str, home: Path | None = None) -> Iterator[Journal | None]:
    """The journal of an earlier session, to add to it; None where it is not kept or is open."""
    try:
        journal = Journal.resume(root, session_id, home)
    except UsageError:
        yield None
        return
    with journal:
        yield journal


def _cut(text: str) -> str:
    more = len(text) - _RESULT
    return text if more <= 0 else f"{text[:_RESULT]}\n[{more} more characters]"


def _dump(messages: "Sequence[ModelMessage]") -> list[Any]:
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    if not messages:
        return []
    rows: list[Any] = ModelMessagesTypeAdapter.dump_python(
        list(messages), mode="json", exclude=_NOT_KEPT, exclude_none=True
    )
    return rows


def _load(rows: list[Any], session_id: str) -> "list[ModelMessage]":
    from pydantic import ValidationError
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    try:
        return ModelMessagesTypeAdapter.validate_python(rows)
    except ValidationError:
        raise AgentError(
            f"Session {session_id} was recorded by another version and cannot be continued; "
            f"`agent sessions show {session_id}` shows it."
        ) from None
