"""What the assistant wrote, kept so that it can be taken back byte for byte.

A write is kept before it is made. Taking one back is itself a change that commits whole or not at
all, and only where the file still is as the assistant left it. So undo may be killed anywhere and
repeated: a file that already is as it was before counts as taken back.

Modes need no keeping: a change never alters the mode of a file.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from agent import checkpoint_store, patch
from agent.checkpoint_store import Store, Write, digest
from agent.exits import AgentError, UsageError
from agent_tools import Change, ToolError, Workspace, commit
from agent_tools.change import current, remove_empty


@dataclass(frozen=True)
class Undone:
    """What came of taking back one write.

    `restored`: the file is as it was before. `removed`: there was none, so it is gone. `already`:
    it was as before, nothing was done. `refused`: it was left alone; `reason` says why and what to
    do.
    """

    path: str
    outcome: Literal["restored", "removed", "already", "refused"]
    reason: str = ""


class Checkpoints:
    """The writes of one session below `root`; `home` replaces the user's state folder."""

    def __init__(self, root: Path, session_id: str, home: Path | None = None) -> None:
        """Raises UsageError when `root` is no directory."""
        if not root.is_dir():
            raise UsageError(f"There is no directory {str(root)!r}.")
        self._home = home
        self._workspace = Workspace(root)
        self.begin(session_id)

    @classmethod
    def create(cls, root: Path, home: Path | None = None) -> "Checkpoints":
        """Those of a new session; nothing is kept before its first write."""
        return cls(root, uuid.uuid4().hex, home)

    def begin(self, session_id: str) -> None:
        """Go on with another session of the same project."""
        self.session_id = session_id
        self._store = Store(self._workspace.root, session_id, self._home)

    @contextmanager
    def recording(self, change: Change) -> Iterator[None]:
        """Keep a change around its commit (see `Workspace.around_commit`).

        Raises:
            ToolError: it cannot be kept; it must not be made then.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._store.locked())
                missing = self._missing_above(change.path)
                write = self._store.add(change.path, change.old, change.new, missing)
            except OSError as error:
                raise ToolError(
                    f"{change.path} was not written: no copy for undo can be kept "
                    f"({error.strerror or error}). Tell the user."
                ) from None
            try:
                yield
            except BaseException:
                self._drop_unless_made(write)
                raise

    def undo(
        self,
        count: int | Literal["all"] = 1,
        *,
        dry_run: bool = False,
        on_undone: Callable[[Undone], None] = lambda undone: None,
    ) -> list[Undone]:
        """Take back the newest writes, newest first; a refused one does not stop the others.

        `on_undone` is told of each write taken back, as it happens.

        Raises:
            AgentError: what was taken back cannot be noted; repeat when the disk has room again.
        """
        try:
            with self._store.locked():
                chosen = self.standing()[::-1][: None if count == "all" else count]
                if dry_run:
                    return self._rehearsed(chosen)
                return [self._take_back(write, on_undone) for write in chosen]
        except OSError as error:
            raise AgentError(
                f"Undo broke off ({error.strerror or error}); free some space and repeat it."
            ) from None

    def discard(self) -> None:
        """Keep nothing of the session any more; its writes stay made."""
        with self._store.locked():
            self._store.discard()

    def standing(self) -> list[Write]:
        """The writes not taken back, oldest first."""
        return [write for write in self._store.writes() if not write.undone]

    def changes(self) -> list[Change]:
        """What the writes not taken back came to, file by file.

        A file that somebody else changed between two writes has one change before that and one
        after.

        Raises:
            AgentError: a content is gone or damaged.
        """
        spans: dict[str, list[tuple[str | None, str | None]]] = {}
        for write in self.standing():
            of_file = spans.setdefault(write.path, [])
            joined = bool(of_file) and of_file[-1][1] == write.before
            first = of_file.pop()[0] if joined else write.before
            of_file.append((first, write.after))
        try:
            return [
                Change(path, self._store.content(old), self._store.content(new))
                for path, of_file in spans.items()
                for old, new in of_file
                if old != new
            ]
        except OSError as error:
            raise AgentError(
                f"The checkpoints of session {self.session_id} are incomplete "
                f"({error.strerror or error})."
            ) from None

    def diff(self) -> str:
        """The changes as one unified diff, exact bytes as `surrogateescape` text."""
        return "".join(patch.unified(change) for change in self.changes())

    def _missing_above(self, path: str) -> tuple[str, ...]:
        """The directories that are made when `path` is written, the innermost first."""
        missing = []
        for directory in map(str, PurePosixPath(path).parents):
            with self._workspace.locate(directory, writing=True) as place:
                try:
                    place.status()
                    break
                except FileNotFoundError:
                    missing.append(directory)
        return tuple(missing)

    def _drop_unless_made(self, write: Write) -> None:
        """A write that failed is forgotten; where that is uncertain, undo finds out."""
        with suppress(ToolError, OSError):
            if self._known_now(write.path) != write.after:
                self._store.mark_failed(write)

    def _known_now(self, path: str) -> str | None:
        return digest(self._content_now(path))

    def _content_now(self, path: str) -> bytes | None:
        relative, content = current(self._workspace, path)
        if relative != path:
            raise ToolError(f"{path} is a link to {relative} now, so it was left alone.")
        return content

    def _rehearsed(self, writes: list[Write]) -> list[Undone]:
        """What taking the writes back would come to."""
        would_be: dict[str, str | None] = {}
        told = []
        for write in writes:
            try:
                if write.path not in would_be:
                    would_be[write.path] = self._known_now(write.path)
                judged = self._judge(write, would_be[write.path])
            except ToolError as error:
                judged = Undone(write.path, "refused", str(error))
            if judged.outcome != "refused":
                would_be[write.path] = write.before
            told.append(judged)
        return told

    def _take_back(self, write: Write, on_undone: Callable[[Undone], None]) -> Undone:
        try:
            content = self._content_now(write.path)
            judged = self._judge(write, digest(content))
            if judged.outcome in ("restored", "removed"):
                before = self._before(write)
                commit(self._workspace, Change(write.path, content, before))
        except ToolError as error:
            return Undone(write.path, "refused", str(error))
        if judged.outcome != "refused":
            for directory in write.made:
                remove_empty(self._workspace, directory)
            self._store.mark_undone(write)
            on_undone(judged)
        return judged

    def _judge(self, write: Write, now: str | None) -> Undone:
        if now == write.before:
            return Undone(write.path, "already")
        if now == write.after:
            return Undone(write.path, "removed" if write.before is None else "restored")
        happened = "was removed" if now is None else "changed"
        remedy = (
            "delete it yourself if nobody needs it"
            if write.before is None
            else f"what it was before is in {self._store.file(write.before)}"
        )
        return Undone(
            write.path,
            "refused",
            f"{write.path} {happened} since the assistant wrote it, so it was left alone; {remedy}",
        )

    def _before(self, write: Write) -> bytes | None:
        try:
            return self._store.content(write.before)
        except OSError as error:
            reason = error.strerror or error
            raise ToolError(
                f"{write.path} was left alone: what it was before cannot be read ({reason})."
            ) from None


def summary(undone: Sequence[Undone], *, dry_run: bool = False) -> list[str]:
    """One line for each file; one more for a file of which some writes were refused."""
    last = {(one.path, one.outcome == "refused"): one for one in undone}
    verbs = {"restored": "restore", "removed": "remove"}
    lines = []
    for one in last.values():
        if one.outcome == "refused":
            lines.append(one.reason)
        elif one.outcome == "already":
            lines.append(f"{one.path} already is as it was before")
        else:
            done = f"would {verbs[one.outcome]}" if dry_run else one.outcome
            lines.append(f"{done} {one.path}")
    return lines


def with_something_to_undo(root: Path, home: Path | None = None) -> Iterator[str]:
    """The sessions of a project whose writes are not all taken back, the last one first."""
    for session in checkpoint_store.sessions(root.resolve(), home):
        if Checkpoints(root, session, home).standing():
            yield session


def find(root: Path, session: str | None = None, home: Path | None = None) -> Checkpoints | None:
    """The checkpoints of a session, named by its id or the beginning of it; None: the last one.

    None when no session of the project wrote anything.

    Raises:
        UsageError: there is no such directory or session, or several begin like that.
    """
    if not root.is_dir():
        raise UsageError(f"There is no directory {str(root)!r}.")
    known = checkpoint_store.sessions(root.resolve(), home)
    if session is not None:
        meant = [one for one in known if one == session] or [
            one for one in known if one.startswith(session)
        ]
        if len(meant) != 1:
            what = (
                "More than one session begins with" if meant else "Nothing was written by session"
            )
            raise UsageError(f"{what} {session!r}; see `agent sessions list`.")
        known = meant
    return Checkpoints(root, known[0], home) if known else None
