"""Undo: every write of the assistant can be taken back byte for byte, or is refused by name."""

import contextlib
import os
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent import checkpoint_store
from agent.checkpoints import Checkpoints, summary
from agent.exits import AgentError
from agent_tools import Change, ToolError, Workspace, commit, edit_file, write_file


class Session:
    """A workspace whose writes are kept, as the assistant has it."""

    def __init__(self, root: Path, home: Path, session_id: str = "s1") -> None:
        self.root = root
        self.kept = Checkpoints(root, session_id, home)
        self.workspace = Workspace(root)
        self.workspace.around_commit = self.kept.recording

    def write(self, path: str, content: str) -> None:
        write_file(self.workspace, path, content)

    def edit(self, path: str, old: str, new: str) -> None:
        edit_file(self.workspace, path, old, new)

    def undo(self, count: int | str = 1) -> list[tuple[str, str]]:
        done = self.kept.undo("all" if count == "all" else int(count))
        return [(one.path, one.outcome) for one in done]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def session(root: Path, home: Path) -> Session:
    return Session(root, home)


def tree(root: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Everything below the root: modes, bytes, where links lead."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        held = str(path.readlink()) if path.is_symlink() else None
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else held
        found[str(path.relative_to(root))] = (status.st_mode, content)
    return found


def started(work: Callable[[], object]) -> int:
    """Start the work in a process of its own that never returns into the tests; its pid."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


def forked(work: Callable[[], object]) -> int:
    """Do the work in a process of its own; how it ended, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(started(work), 0)[1])


def killed_at(step: int, work: Callable[[], object]) -> int:
    """Do the work in a process that is killed before its `step`th change of the disk."""

    def work_and_die() -> None:
        taken = 0

        def killing(name: str) -> None:
            real = getattr(os, name)

            def call(*arguments: object, **options: object) -> object:
                nonlocal taken
                taken += 1
                if taken == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            setattr(os, name, call)

        for name in ("write", "fsync", "fchmod", "link", "rename", "mkdir", "unlink", "rmdir"):
            killing(name)
        work()

    return forked(work_and_die)


CONTENTS = {
    "bom.txt": b"\xef\xbb\xbfone\r\ntwo",
    "crlf.txt": b"one\r\ntwo\r\n",
    "mixed.txt": b"one\r\ntwo\nthree\r",
    "latin.txt": b"caf\xe9\nb\n",
    "no_newline.txt": b"one",
    "empty.txt": b"",
    "utf16.txt": "one\nzwei\n".encode("utf-16"),
    "white space.txt": b"  \t\n\n\n",
}


def test_every_byte_and_the_mode_come_back(session: Session, root: Path) -> None:
    for number, (name, content) in enumerate(CONTENTS.items()):
        (root / name).write_bytes(content)
        (root / name).chmod(0o600 + number)
    before = tree(root)
    for name in CONTENTS:
        session.write(name, "new\ncontent")
        session.edit(name, "content", "contents")
    assert len(session.undo("all")) == 2 * len(CONTENTS)
    assert tree(root) == before
    assert session.undo("all") == []


def test_newest_first_and_as_many_as_asked(session: Session, root: Path) -> None:
    for content in "abcd":
        session.write("x.txt", content)
    session.write("y.txt", "y")
    assert session.undo() == [("y.txt", "removed")]
    assert session.undo(2) == [("x.txt", "restored")] * 2
    assert (root / "x.txt").read_bytes() == b"b"
    session.write("x.txt", "e")
    assert session.undo("all") == [
        ("x.txt", "restored"),
        ("x.txt", "restored"),
        ("x.txt", "removed"),
    ]
    assert not (root / "x.txt").exists()


def test_created_directories_go_when_they_are_empty(session: Session, root: Path) -> None:
    (root / "there").mkdir()
    session.write("there/a/b/one.txt", "1")
    session.write("mine/two.txt", "2")
    (root / "mine" / "of_the_user.txt").write_text("keep")
    session.undo("all")
    assert set(tree(root)) == {"there", "mine", "mine/of_the_user.txt"}


def test_a_file_changed_since_is_left_alone_and_the_others_go_on(
    session: Session, root: Path
) -> None:
    for name in ("changed.txt", "removed.txt", "fine.txt"):
        (root / name).write_text("before\n")
        session.write(name, "assistant\n")
    session.write("new.txt", "assistant\n")
    (root / "changed.txt").write_text("user\n")
    (root / "removed.txt").unlink()
    (root / "new.txt").write_text("user\n")
    done = {one.path: one for one in session.kept.undo("all")}
    assert {path: one.outcome for path, one in done.items()} == {
        "new.txt": "refused",
        "fine.txt": "restored",
        "removed.txt": "refused",
        "changed.txt": "refused",
    }
    assert (root / "changed.txt").read_text() == (root / "new.txt").read_text() == "user\n"
    assert not (root / "removed.txt").exists()
    assert (root / "fine.txt").read_text() == "before\n"
    reason = done["changed.txt"].reason
    assert reason.startswith("changed.txt changed since the assistant wrote it, so it was left")
    assert Path(reason.rpartition(" is in ")[2]).read_text() == "before\n"
    assert "removed.txt was removed since" in done["removed.txt"].reason
    assert done["new.txt"].reason.endswith("delete it yourself if nobody needs it")
    # Once the user is back where the assistant was, the rest can be taken back too.
    (root / "changed.txt").write_text("assistant\n")
    assert ("changed.txt", "restored") in session.undo("all")


def test_what_is_as_before_already_counts_as_taken_back(session: Session, root: Path) -> None:
    (root / "x.txt").write_text("before\n")
    session.write("x.txt", "assistant\n")
    (root / "x.txt").write_text("before\n")
    assert session.undo() == [("x.txt", "already")]
    assert session.undo() == []


def test_a_mode_that_the_user_set_since_stays(session: Session, root: Path) -> None:
    (root / "run.sh").write_text("before\n")
    session.write("run.sh", "assistant\n")
    (root / "run.sh").chmod(0o755)
    session.undo()
    assert (root / "run.sh").read_text() == "before\n"
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o755


def test_a_file_made_read_only_is_refused(session: Session, root: Path) -> None:
    session.write("x.txt", "assistant\n")
    (root / "x.txt").chmod(0o444)
    assert session.undo() == [("x.txt", "refused")]
    assert (root / "x.txt").exists()


def test_a_rehearsal_says_what_undo_would_do_and_does_nothing(session: Session, root: Path) -> None:
    (root / "x.txt").write_text("before\n")
    session.write("x.txt", "one\n")
    session.write("x.txt", "two\n")
    session.write("new/y.txt", "y\n")
    (root / "z.txt").write_text("before\n")
    session.write("z.txt", "z\n")
    (root / "z.txt").write_text("user\n")
    before = tree(root)
    told = session.kept.undo("all", dry_run=True)
    assert tree(root) == before
    assert session.kept.undo("all") == told
    assert summary(told, dry_run=True)[1:] == ["would remove new/y.txt", "would restore x.txt"]


def test_what_was_taken_back_is_told_as_it_happens(session: Session, root: Path) -> None:
    session.write("a.txt", "a")
    session.write("b.txt", "b")
    (root / "a.txt").write_text("user")
    told: list[str] = []
    session.kept.undo("all", on_undone=lambda undone: told.append(undone.path))
    assert told == ["b.txt"]


def test_a_write_that_failed_is_not_kept(session: Session, root: Path) -> None:
    (root / "x.txt").write_text("before\n")
    stale = Change("x.txt", b"something else\n", b"new\n")
    with pytest.raises(ToolError, match="changed meanwhile"):
        commit(session.workspace, stale)
    assert session.kept.standing() == []
    assert session.kept.diff() == ""


def test_sessions_do_not_mix(session: Session, root: Path, home: Path) -> None:
    other = Session(root, home, "s2")
    session.write("one.txt", "1")
    other.write("two.txt", "2")
    assert checkpoint_store.sessions(root, home) == ["s2", "s1"]
    assert session.undo("all") == [("one.txt", "removed")]
    other.kept.begin("s3")
    assert other.undo("all") == []
    other.kept.begin("s2")
    assert other.undo("all") == [("two.txt", "removed")]


def test_only_the_user_can_read_what_is_kept(session: Session, home: Path) -> None:
    session.write("x.txt", "secret\n")
    for path in home.rglob("*"):
        assert not path.stat().st_mode & 0o077


# Links put in the way


def test_a_link_swapped_in_cannot_lead_undo_outside(session: Session, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    for name in ("edited.txt", "created.txt"):
        (outside / name).write_text("assistant\n")
    (root / "src").mkdir()
    (root / "src" / "edited.txt").write_text("before\n")
    session.write("src/edited.txt", "assistant\n")
    session.write("src/created.txt", "assistant\n")
    session.write("alone.txt", "assistant\n")
    canary = tree(outside)
    (root / "src").rename(root / "moved")
    (root / "src").symlink_to(outside)
    (root / "alone.txt").unlink()
    (root / "alone.txt").symlink_to(outside / "edited.txt")
    assert {outcome for _, outcome in session.undo("all")} == {"refused"}
    assert tree(outside) == canary
    # Nor may it lead to another file inside, although that looks just the same.
    (root / "src").unlink()
    (root / "src").symlink_to("moved")
    assert {outcome for _, outcome in session.undo("all")} == {"refused"}
    assert (root / "moved" / "edited.txt").read_text() == "assistant\n"


def test_links_swapped_in_while_undo_runs(session: Session, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("assistant\n")
    canary = tree(outside)
    (root / "src").mkdir()

    def swap() -> None:
        while True:
            # Any step may fail where the assistant has just made `src` anew.
            for step in (
                lambda: (root / "src").rename(root / "away"),
                lambda: (root / "src").symlink_to(outside),
                lambda: (root / "src").unlink(),
                lambda: (root / "away").rename(root / "src"),
            ):
                with contextlib.suppress(OSError):
                    step()

    attacker = started(swap)
    try:
        for _ in range(100):
            try:
                session.write("src/x.txt", "assistant\n")
            except ToolError:
                continue
            session.undo("all")
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
    assert tree(outside) == canary


# Killed, and no room left


def written(session: Session, root: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Some writes of every sort; returns how it was before."""
    (root / "edited.txt").write_bytes(b"\xef\xbb\xbfbefore\r\n")
    (root / "edited.txt").chmod(0o640)
    before = tree(root)
    session.write("edited.txt", "one\n")
    session.write("new/deep/created.txt", "created\n")
    session.edit("edited.txt", "one", "two")
    return before


def test_undo_killed_anywhere_can_be_repeated(tmp_path: Path) -> None:
    for step in range(1, 100):
        root = tmp_path / str(step)
        root.mkdir()
        session = Session(root, tmp_path / f"state{step}")
        before = written(session, root)
        ended = killed_at(step, lambda session=session: session.undo("all"))  # type: ignore[misc]
        again = session.undo("all")
        assert "refused" not in [outcome for _, outcome in again]
        assert tree(root) == before
        assert session.undo("all") == []
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert ended == 0
    assert step > 10


def test_a_write_killed_anywhere_can_be_taken_back(tmp_path: Path) -> None:
    for path in ("edited.txt", "new/deep/created.txt"):
        for step in range(1, 100):
            root = tmp_path / f"{step}-{path[:3]}"
            root.mkdir()
            (root / "edited.txt").write_bytes(b"before\r\n")
            session = Session(root, tmp_path / "state")
            before = tree(root)
            ended = killed_at(step, lambda s=session, p=path: s.write(p, "new\n"))  # type: ignore[misc]
            session.undo("all")
            held = {name: what for name, what in tree(root).items() if what[1] is not None}
            drafts = {name for name in held if name.endswith(".agent-tmp")}
            assert {name: held[name] for name in held.keys() - drafts} == before
            # The log that was torn goes on.
            session.write("next.txt", "next\n")
            assert session.undo("all") == [("next.txt", "removed")]
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
        assert ended == 0
        assert step > 10


def no_file_larger_than(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_undo_without_room_goes_on_with_the_others_and_can_be_repeated(
    session: Session, root: Path
) -> None:
    (root / "large.txt").write_text("large\n" * 20_000)
    (root / "small.txt").write_text("small\n")
    before = tree(root)
    session.write("small.txt", "x\n")
    session.write("large.txt", "x\n")

    def undo_without_room() -> None:
        no_file_larger_than(20_000)
        assert session.undo("all") == [("large.txt", "refused"), ("small.txt", "restored")]

    assert forked(undo_without_room) == 0
    assert tree(root) == {**before, "large.txt": (before["large.txt"][0], b"x\n")}
    assert session.undo("all") == [("large.txt", "restored")]
    assert tree(root) == before


def test_undo_that_cannot_be_noted_breaks_off_and_can_be_repeated(
    session: Session, root: Path
) -> None:
    before = written(session, root)

    def undo_without_room() -> None:
        no_file_larger_than(20)
        with pytest.raises(AgentError, match=r"Undo broke off .*; free some space and repeat it\."):
            session.undo("all")

    assert forked(undo_without_room) == 0
    session.undo("all")
    assert tree(root) == before


def test_a_write_that_cannot_be_kept_is_not_made(session: Session, root: Path, home: Path) -> None:
    (root / "x.txt").write_text("before\n")
    before = tree(root)

    def write_without_room() -> None:
        no_file_larger_than(20_000)
        with pytest.raises(ToolError, match=r"x\.txt was not written: no copy for undo can be"):
            session.write("x.txt", "large\n" * 20_000)

    assert forked(write_without_room) == 0
    assert tree(root) == before
    assert not list(home.rglob("*.part"))
    assert session.undo("all") == []


def test_a_kept_content_that_is_gone_or_damaged(session: Session, root: Path, home: Path) -> None:
    (root / "x.txt").write_text("before\n")
    session.write("x.txt", "assistant\n")
    [kept] = (file for file in home.glob("**/contents/*") if file.read_text() == "before\n")
    kept.write_text("befor\n")
    [undone] = session.kept.undo()
    assert undone.reason == (
        "x.txt was left alone: what it was before cannot be read (the kept content is damaged)."
    )
    kept.unlink()
    assert session.undo() == [("x.txt", "refused")]
    with pytest.raises(AgentError, match="are incomplete"):
        session.kept.diff()
    assert (root / "x.txt").read_text() == "assistant\n"


def test_a_log_with_nonsense_in_it(session: Session, root: Path, home: Path) -> None:
    session.write("x.txt", "assistant\n")
    [log] = home.glob("**/log.jsonl")
    with log.open("ab") as file:
        file.write(b'{"undone": "nobody"}\n[]\n7\n{"write": {}}\n\xff\xfe\n{"write": {"id": "x"')
    session.write("y.txt", "assistant\n")
    assert session.undo("all") == [("y.txt", "removed"), ("x.txt", "removed")]


def test_undo_and_writes_at_the_same_time(session: Session, root: Path) -> None:
    def write() -> None:
        for number in range(30):
            session.write(f"{number}.txt", "x")

    writer = started(write)
    while os.waitpid(writer, os.WNOHANG)[0] == 0:
        assert "refused" not in [outcome for _, outcome in session.undo("all")]
    session.undo("all")
    assert tree(root) == {}


# What is kept, and what it comes to


def test_old_checkpoints_go(
    session: Session, root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_store, "KEPT_SESSIONS", 3)
    for number in range(5):
        session.kept.begin(f"n{number}")
        session.write("x.txt", str(number))
        for age, log in enumerate(reversed(checkpoint_store.sessions(root, home))):
            [file] = home.glob(f"**/{log}/log.jsonl")
            os.utime(file, (age, age))
    assert checkpoint_store.sessions(root, home) == ["n4", "n3", "n2"]
    monkeypatch.setattr(checkpoint_store, "KEPT_BYTES", 1000)
    session.kept.begin("large")
    session.write("x.txt", "x" * 5000)
    assert checkpoint_store.sessions(root, home) == ["large", "n4", "n3"]
    session.kept.begin("next")
    session.write("x.txt", "y")
    assert checkpoint_store.sessions(root, home) == ["next"]
    session.kept.discard()
    assert checkpoint_store.sessions(root, home) == []


def test_changes_are_what_the_session_came_to(session: Session, root: Path) -> None:
    (root / "x.txt").write_text("before\n")
    session.write("x.txt", "one\n")
    session.write("x.txt", "two\n")
    session.write("there_and_back.txt", "x\n")
    session.undo()
    (root / "x.txt").write_text("user\n")
    session.write("x.txt", "three\n")
    assert session.kept.changes() == [
        Change("x.txt", b"before\n", b"two\n"),
        Change("x.txt", b"user\n", b"three\n"),
    ]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_diff_is_a_patch(session: Session, root: Path) -> None:
    for name, content in CONTENTS.items():
        (root / name).write_bytes(content)
    del_utf16 = root / "utf16.txt"
    del_utf16.unlink()
    before = tree(root)
    for name in CONTENTS:
        if name != "utf16.txt":
            session.write(name, "new\ncontent")
    session.write("new dir/new.txt", "\x0cnew\u2028\n")
    subprocess.run(
        ["git", "apply", "-R", "--whitespace=nowarn", "-"],
        input=session.kept.diff().encode("utf-8", "surrogateescape"),
        cwd=root,
        check=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)},
    )
    after = {name: what for name, what in tree(root).items() if what[1] is not None}
    assert after == before


def test_a_diff_of_what_is_no_text(session: Session, root: Path) -> None:
    (root / "u.txt").write_bytes("one\n".encode("utf-16"))
    session.write("u.txt", "two\n")
    session.write('quo"te\n.txt', "x")
    assert session.kept.diff() == (
        "Binary file u.txt changed\n"
        '--- /dev/null\n+++ "b/quo\\"te\\n.txt"\n@@ -0,0 +1 @@\n+x\n'
        "\\ No newline at end of file\n"
    )


# Anything, in any order

NAMES = st.sampled_from(["a.txt", "b.txt", "link.txt", "d/c.txt", "d/e/f.txt", "g/h/i.txt"])
TEXTS = st.text("ab\n\ré\ufeff", max_size=6)
BYTES = st.one_of(
    TEXTS.map(str.encode), st.binary(max_size=4), st.sampled_from(list(CONTENTS.values()))
)


class Undoing(RuleBasedStateMachine):
    """Writes, edits, undos and changes by others: the files are as a plain account of it says."""

    @initialize(files=st.dictionaries(NAMES, BYTES, max_size=4))
    def begin(self, files: dict[str, bytes]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / "project"
        self.root.mkdir()
        (self.root / "link.txt").symlink_to("a.txt")
        self.session = Session(self.root, self.folder / "state")
        self.files: dict[str, bytes] = {}
        self.done: list[tuple[str, bytes | None, bytes | None]] = []
        for name, content in files.items():
            self.others_write(name, content)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _real(self, name: str) -> str:
        return "a.txt" if name == "link.txt" else name

    def _on_disk(self, name: str) -> bytes | None:
        file = self.root / name
        return file.read_bytes() if file.exists() else None

    @rule(name=NAMES, content=TEXTS)
    def writes(self, name: str, content: str) -> None:
        self._noted(name, lambda: self.session.write(name, content))

    @rule(name=NAMES, old=st.text("ab\né", min_size=1, max_size=2), new=TEXTS)
    def edits(self, name: str, old: str, new: str) -> None:
        self._noted(name, lambda: self.session.edit(name, old, new))

    def _noted(self, name: str, work: Callable[[], None]) -> None:
        real = self._real(name)
        before = self._on_disk(real)
        try:
            work()
        except ToolError:
            assert self._on_disk(real) == before
            return
        after = self._on_disk(real)
        assert after is not None
        self.done.append((real, before, after))
        self.files[real] = after

    @rule(name=NAMES, content=BYTES)
    def others_write(self, name: str, content: bytes) -> None:
        real = self._real(name)
        (self.root / real).parent.mkdir(parents=True, exist_ok=True)
        (self.root / real).write_bytes(content)
        self.files[real] = content

    @rule(name=NAMES)
    def others_remove(self, name: str) -> None:
        real = self._real(name)
        (self.root / real).unlink(missing_ok=True)
        self.files.pop(real, None)

    @rule(count=st.sampled_from([1, 1, 2, 3, "all"]))
    def undoes(self, count: int | str) -> None:
        expected = []
        chosen = self.done[::-1][: None if count == "all" else int(count)]
        for write in chosen:
            name, before, after = write
            now = self.files.get(name)
            if now not in (before, after):
                expected.append((name, "refused"))
                continue
            done = "removed" if before is None else "restored"
            expected.append((name, "already" if now == before else done))
            self.files.pop(name, None)
            if before is not None:
                self.files[name] = before
            del self.done[max(i for i, one in enumerate(self.done) if one is write)]
        assert self.session.undo(count) == expected

    @rule()
    def goes_on_in_another_process(self) -> None:
        self.session = Session(self.root, self.folder / "state")

    @invariant()
    def every_file_is_as_it_should_be(self) -> None:
        if hasattr(self, "root"):
            found = {name: what[1] for name, what in tree(self.root).items()}
            assert found.pop("link.txt") == "a.txt"
            assert {n: held for n, held in found.items() if held is not None} == self.files


TestUndoing = Undoing.TestCase
TestUndoing.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
