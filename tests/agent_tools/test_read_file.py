"""read_file: numbered lines, honest about what it leaves out, whatever the file is."""

import codecs
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_tools import Workspace, read_file
from agent_tools.truncate import RESULT_CHARS

from .calls import told


def test_the_shape_of_results(workspace: Workspace) -> None:
    assert read_file(workspace, "src/a.py") == (
        "src/a.py: lines 1-4 of 4\n1\timport os\n2\t\n3\tclass Apple:\n4\t    pass"
    )
    assert read_file(workspace, "src/a.py", start=2, end=3) == (
        "src/a.py: lines 2-3 of 4\n2\t\n3\tclass Apple:"
    )
    assert read_file(workspace, "src/a.py", start=3, end=99).startswith("src/a.py: lines 3-4 of 4")
    assert read_file(workspace, "src/a.py", start=0).startswith("src/a.py: lines 1-4 of 4")


def test_a_long_file_goes_on_where_it_says(workspace: Workspace, root: Path) -> None:
    lines = [f"this is line {number}" for number in range(1, 3001)]
    (root / "long.txt").write_text("\n".join(lines))
    start, seen = 1, []
    while start:
        heading, *shown = read_file(workspace, "long.txt", start=start).splitlines()
        last = shown.pop() if shown[-1].startswith("[") else ""
        assert heading == f"long.txt: lines {start}-{start + len(shown) - 1} of 3000"
        seen += shown
        start = int(last.rpartition("=")[2].strip("]")) if last else 0
        if last:
            assert last == f"[showing lines {seen[-len(shown)].split(chr(9))[0]}-" + (
                f"{start - 1} of 3000; continue with start={start}]"
            )
    assert seen == [f"{n}\t{line}" for n, line in enumerate(lines, 1)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(st.text("ab\r\x0c\u2028é\t", max_size=30), max_size=30),
    ended=st.booleans(),
    start=st.integers(1, 35),
    end=st.integers(0, 35),
)
def test_any_window_of_any_text(
    workspace: Workspace, root: Path, lines: list[str], ended: bool, start: int, end: int
) -> None:
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    (root / "x.txt").write_bytes(text.encode())
    whole = text.removesuffix("\n").split("\n") if text else []
    answer = told(read_file, workspace, "x.txt", start, end)
    if end and end < start:
        assert "before start" in answer
    elif not whole:
        assert answer == "x.txt: empty"
    elif start > len(whole):
        assert f"only {len(whole)} line" in answer
    else:
        wanted = whole[start - 1 : end or None]
        numbered = [f"{n}\t{one.removesuffix(chr(13))}" for n, one in enumerate(wanted, start)]
        heading = f"x.txt: lines {start}-{start + len(wanted) - 1} of {len(whole)}"
        shown = answer.split("\n")
        if shown[-1].startswith("[showing"):
            shown.pop()
        assert shown == [heading, *numbered]


@pytest.mark.parametrize(
    ("data", "label"),
    [
        ("é ü\n".encode(), ""),
        (codecs.BOM_UTF8 + "é ü\n".encode(), ""),
        ("é ü\n".encode("latin-1"), " (Latin-1)"),
        (codecs.BOM_UTF16_LE + "é ü\n".encode("utf-16-le"), " (UTF-16-LE)"),
        (codecs.BOM_UTF16_BE + "é ü\n".encode("utf-16-be"), " (UTF-16-BE)"),
    ],
)
def test_encodings(workspace: Workspace, root: Path, data: bytes, label: str) -> None:
    (root / "x.txt").write_bytes(data)
    assert read_file(workspace, "x.txt") == f"x.txt: lines 1-1 of 1{label}\n1\té ü"


def test_latin_1_late_in_a_large_file(workspace: Workspace, root: Path) -> None:
    (root / "x.txt").write_bytes(b"plain\n" * 400_000 + b"caf\xe9\n")
    assert read_file(workspace, "x.txt", start=400_001).endswith("\n400001\tcafé")


def test_a_gigabyte_in_one_line(workspace: Workspace, root: Path) -> None:
    """Spaces would fill the disk; a sparse file reads as NUL, so its beginning is text."""
    with (root / "huge.txt").open("wb") as file:
        file.write(b"a" * 100_000)
        file.truncate(1 << 30)
    tracemalloc.start()
    heading, line, notice = read_file(workspace, "huge.txt").split("\n")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heading == "huge.txt: lines 1-1 of 1"
    assert line == "1\t" + "a" * RESULT_CHARS
    assert notice == f"[line 1 is cut: it has {1 << 30} characters; search it with grep]"
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("src", "src is a directory; list it with find_files."),
        ("image.png", "image.png is a binary file (6 bytes); only text can be read."),
        ("aa.py", "aa.py does not exist. Did you mean src/a.py?"),
        ("src/aa.py", "src/aa.py does not exist. Did you mean src/a.py"),
        ("src/a.py/x", "src/a.py/x goes through something that is no directory."),
        ("zebra.txt", "zebra.txt does not exist. List files with find_files."),
        ("", "The path is empty; give one."),
        ("x" * 5000, "is too long a name."),
    ],
)
def test_what_cannot_be_read(workspace: Workspace, root: Path, path: str, words: str) -> None:
    (root / "image.png").write_bytes(b"\x89PN\0G\n")
    assert words in told(read_file, workspace, path)


def test_the_end_of_a_path_is_enough_where_one_file_has_it(
    workspace: Workspace, root: Path
) -> None:
    assert read_file(workspace, "a.py") == read_file(workspace, "src/a.py")
    assert read_file(workspace, "./deep/b.py").startswith("src/deep/b.py: lines 1-2")
    (root / "src" / "deep" / "a.py").write_text("1\n")
    assert "Did you mean src/a.py or src/deep/a.py?" in told(read_file, workspace, "a.py")
    assert "does not exist" in told(read_file, workspace, "b.p")
    closed = workspace.restricted(lambda path: path.startswith("src/deep"))
    assert "does not exist" in told(read_file, closed, "b.py")


def test_a_start_beyond_the_end(workspace: Workspace) -> None:
    assert told(read_file, workspace, "src/a.py", 9) == (
        "Error: src/a.py has only 4 lines; ask for a start up to 4."
    )
