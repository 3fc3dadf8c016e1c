"""write_file and edit_file: whole or not at all, and every byte that was not meant stays."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_tools import Change, ToolError, Workspace, commit, draft, edit_file, write_file
from agent_tools.edit_file import plan as plan_edit
from agent_tools.write_file import plan as plan_write

from .calls import everything_below, told

IN_TEST = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_shape_of_results(workspace: Workspace, root: Path) -> None:
    assert write_file(workspace, "new/x.md", "a\nb\nc") == "Created new/x.md (3 lines)."
    assert write_file(workspace, "new/x.md", "a\n") == "Replaced new/x.md (1 line, was 3)."
    assert (root / "new" / "x.md").read_bytes() == b"a\n"
    assert edit_file(workspace, "src/a.py", "Apple", "Pear") == "Edited src/a.py at line 3."
    assert "class Pear:" in (root / "src" / "a.py").read_text()


def test_plans_touch_nothing(workspace: Workspace, root: Path) -> None:
    before = everything_below(root)
    assert plan_write(workspace, "new/x.md", "a\n") == Change("new/x.md", None, b"a\n")
    change, line = plan_edit(workspace, "./notes.md", "Apple", "Pear")
    assert (change, line) == (Change("notes.md", b"# Notes\nApple\n", b"# Notes\nPear\n"), 2)
    assert everything_below(root) == before and not (root / "new").exists()


@pytest.mark.parametrize(
    ("data", "old", "new", "expected"),
    [
        (b"a\r\nb\r\nc", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc"),
        (b"a\nb\r\nc\nd\r\n", "b\nc\nd", "b\nC\nd", b"a\nb\r\nC\nd\r\n"),
        (b"a\nb\r\nc\nd\r\n", "a\nb\nc", "a\nb\nnew\nc", b"a\nb\r\nnew\nc\nd\r\n"),
        (b"\xef\xbb\xbfa\nb", "a", "x", b"\xef\xbb\xbfx\nb"),
        (b"caf\xe9\nb\n", "é\nb", "é\nü", b"caf\xe9\n\xfc\n"),
        ("a\nbé\n".encode("utf-16"), "bé", "ü", "a\nü\n".encode("utf-16")),
        (b"a\x0cb\n", "b", "c", b"a\x0cc\n"),
        (b"a\nb\n", "b\n", "", b"a\n"),
        (b"a\nb\nc\n", "a\nb\nc\n", "a\nc\n", b"a\nc\n"),
    ],
)
def test_edits_keep_bytes(
    workspace: Workspace, root: Path, data: bytes, old: str, new: str, expected: bytes
) -> None:
    (root / "x").write_bytes(data)
    edit_file(workspace, "x", old, new)
    assert (root / "x").read_bytes() == expected


LINES = st.lists(
    st.tuples(st.text("abé 1\t", max_size=5), st.sampled_from(["\n", "\r\n"])), max_size=8
)


@IN_TEST
@given(before=LINES, after=LINES, new=st.text("xyzü\n", max_size=8), mark=st.booleans())
def test_an_edit_changes_only_what_it_names(
    workspace: Workspace,
    root: Path,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    new: str,
    mark: bool,
) -> None:
    codec = "utf-8-sig" if mark else "utf-8"
    head, tail = ("".join(map("".join, lines)) for lines in (before, after))
    (root / "x").write_bytes(f"{head}TARGET{tail}".encode(codec))
    edit_file(workspace, "x", "TARGET", f"<{new}>")
    result = (root / "x").read_bytes().decode(codec)
    assert result.startswith(f"{head}<") and result.endswith(f">{tail}")
    assert result[len(head) : len(result) - len(tail)].replace("\r\n", "\n") == f"<{new}>"


@IN_TEST
@given(content=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_what_is_written_is_what_stands_there(
    workspace: Workspace, root: Path, content: str
) -> None:
    (root / "x").unlink(missing_ok=True)
    write_file(workspace, "x", content)
    assert (root / "x").read_bytes() == content.encode()


def test_replacing_keeps_encoding_endings_mark_and_mode(workspace: Workspace, root: Path) -> None:
    file = root / "x.bat"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    file.chmod(0o751)
    assert write_file(workspace, "x.bat", "é\nd\n") == "Replaced x.bat (2 lines, was 2)."
    assert file.read_bytes() == b"\xef\xbb\xbf" + "é\r\nd\r\n".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    file.write_bytes(b"caf\xe9\n")
    write_file(workspace, "x.bat", "thé\n")
    assert file.read_bytes() == b"th\xe9\n"
    assert told(write_file, workspace, "x.bat", "1 €\n") == (
        "Error: The file is Latin-1, which cannot hold '\\u20ac'."
    )
    assert told(write_file, workspace, "y", "\ud800").startswith("Error: The file is UTF-8")
    assert file.read_bytes() == b"th\xe9\n" and not (root / "y").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(workspace: Workspace, root: Path) -> None:
    os.chown(root / "notes.md", 1234, 2345)
    edit_file(workspace, "notes.md", "Apple", "Pear")
    status = (root / "notes.md").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_links_are_written_through(workspace: Workspace, root: Path) -> None:
    (root / "link").symlink_to("src/a.py")
    (root / "dangling").symlink_to("src/new.py")
    assert edit_file(workspace, "link", "Apple", "Pear") == "Edited src/a.py at line 3."
    assert write_file(workspace, "dangling", "x\n") == "Created src/new.py (1 line)."
    assert (root / "link").is_symlink() and (root / "dangling").is_symlink()


def test_a_stale_change_is_refused(workspace: Workspace, root: Path) -> None:
    edit, _ = plan_edit(workspace, "notes.md", "Apple", "Pear")
    creation = plan_write(workspace, "new.md", "mine\n")
    (root / "notes.md").write_text("# Notes\nApple\nCherry\n")
    (root / "new.md").write_text("theirs\n")
    for change in (edit, creation):
        with pytest.raises(ToolError, match="was changed meanwhile; read it again"):
            commit(workspace, change)
    assert (root / "notes.md").read_text() == "# Notes\nApple\nCherry\n"
    assert (root / "new.md").read_text() == "theirs\n"


def test_what_cannot_be_written(workspace: Workspace, root: Path) -> None:
    (root / "image.png").write_bytes(b"\x89PN\0G\n")
    (root / "fixed.txt").write_text("a\n")
    (root / "fixed.txt").chmod(0o444)
    before = everything_below(root)
    for path, words in {
        "src": "is a directory",
        "src/a.py/x": "goes through something that is no directory",
        "image.png": "is a binary file",
        "fixed.txt": "is read-only",
        "new/../x.txt": "goes back from a directory that does not exist",
    }.items():
        assert words in told(write_file, workspace, path, "x")
    assert everything_below(root) == before


MANY = "def one():\n    return 1\n\n\ndef two():\n    return 1\n"


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("", "x", "old is empty; give the text to replace, or use write_file."),
        ("one", "one", "old and new are the same; nothing to change."),
        (
            "    return 1",
            "x",
            "old occurs 2 times in m.py (lines 2, 6); "
            "send more of the lines around the one to change.",
        ),
        (
            "def two():\n\treturn 1",
            "x",
            "old is not in m.py with this white space. The closest is lines 5-6:\n"
            "5\tdef two():\n6\t    return 1\nSend old exactly as it stands there.",
        ),
        (
            "def tow():\n",
            "x",
            "old is not in m.py. The closest is lines 5-5:\n5\tdef two():\n"
            "Send old exactly as it stands there.",
        ),
        ("zzz", "x", "old is not in m.py, nor anything like it; read the file first."),
    ],
)
def test_edits_that_are_refused(
    workspace: Workspace, root: Path, old: str, new: str, answer: str
) -> None:
    (root / "m.py").write_text(MANY)
    assert told(edit_file, workspace, "m.py", old, new) == f"Error: {answer}"
    assert (root / "m.py").read_text() == MANY


def test_old_may_carry_line_numbers(workspace: Workspace, root: Path) -> None:
    (root / "m.py").write_text(MANY)
    answer = edit_file(workspace, "m.py", "5\tdef two():\n6\t    return 1", "def two():\n    pass")
    assert answer == "Edited m.py at line 5."
    assert (root / "m.py").read_text().endswith("def two():\n    pass\n")
    (root / "m.py").write_text(MANY)
    # The number says which of two.
    assert edit_file(workspace, "m.py", "6\t    return 1", "6\t    return 2").endswith("line 6.")
    assert (root / "m.py").read_text() == MANY[:-2] + "2\n"
    mixed = told(edit_file, workspace, "m.py", "1\tdef one():", "1\tdef un():\n    # note")
    assert mixed == "Error: Some lines of new carry line numbers; send new without them."


def test_numbers_that_are_content(workspace: Workspace, root: Path) -> None:
    (root / "t.tsv").write_text("1\tone\n2\ttwo\n")
    edit_file(workspace, "t.tsv", "2\ttwo", "2\tzwei")
    assert (root / "t.tsv").read_text() == "1\tone\n2\tzwei\n"


def test_a_missing_file(workspace: Workspace) -> None:
    assert told(edit_file, workspace, "a.py", "x", "y") == (
        "Error: a.py does not exist. Did you mean src/a.py?"
    )


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from agent_tools import Workspace, draft, write_file

    step, named = int(sys.argv[2]), sys.argv[3] == "named"
    if named:
        draft._NAMELESS = 0
    taken = 0

    def killing(name):
        real = getattr(os, name)
        def call(*arguments, **options):
            global taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        setattr(os, name, call)

    for name in ("open", "write", "fsync", "fchmod", "link", "rename"):
        killing(name)
    write_file(Workspace(Path(sys.argv[1])), "x.txt", "new\\n" * 1000)
"""


@pytest.mark.parametrize("kind", ["nameless", "named"])
@pytest.mark.parametrize("exists", [True, False])
def test_killed_at_any_step(tmp_path: Path, kind: str, exists: bool) -> None:
    """The process dies before each of its system calls in turn, until one run gets through."""
    root = tmp_path / "work"
    root.mkdir()
    old, new = b"old\n" * 500, b"new\n" * 1000
    killed = 0
    for step in range(1, 40):
        (root / "x.txt").write_bytes(old) if exists else (root / "x.txt").unlink(missing_ok=True)
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(root), str(step), kind],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        left = everything_below(root)
        assert left.get("x.txt") in ((old, new) if exists else (None, new))
        # Only a kill between naming a draft and moving it can leave one; the next write removes it.
        drafts = [name for name in left if name != "x.txt"]
        assert len(drafts) <= 1
        if drafts:
            write_file(Workspace(root), "next.txt", "x\n")
            assert set(everything_below(root)) - {"x.txt"} == {"next.txt"}
            (root / "next.txt").unlink()
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        killed += 1
    assert ended.returncode == 0 and killed > 5


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk(tiny_disk: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    if named:
        monkeypatch.setattr(draft, "_NAMELESS", 0)
    (tiny_disk / "x.txt").write_text("old\n")
    workspace = Workspace(tiny_disk)
    for path in ("x.txt", "new.txt"):
        assert told(write_file, workspace, path, "x" * 200_000) == (
            f"Error: {path} was not written: the disk is full. It stands as it was."
        )
    assert everything_below(tiny_disk) == {"x.txt": b"old\n"}
    assert write_file(workspace, "x.txt", "small\n") == "Replaced x.txt (1 line, was 1)."
