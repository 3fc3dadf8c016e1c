"""grep: what plain ripgrep finds, in a fixed shape and within bounds."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from agent_tools import ToolError, ToolUnavailable, Workspace, grep, process, ripgrep
from agent_tools.truncate import LINE_CHARS, RESULT_CHARS

from .calls import told


def test_the_shape_of_results(workspace: Workspace) -> None:
    assert grep(workspace, "Apple").splitlines() == [
        "3 matches in 3 files",
        "notes.md:2: Apple",
        "src/a.py:3: class Apple:",
        "4\t    pass",
        "src/deep/b.py:1: class Banana(Apple):",
        "2\t    pass",
    ]
    assert grep(workspace, "Cherry") == "No matches."


def test_few_matches_are_shown_with_what_follows_them(workspace: Workspace, root: Path) -> None:
    (root / "long.txt").write_text("".join(f"line {n}\n" for n in range(1, 61)))
    found = grep(workspace, "line (10|13|55)$").splitlines()
    assert found[0] == "3 matches in 1 file"
    assert found[1:4] == ["long.txt:10: line 10", "11\tline 11", "12\tline 12"]
    assert found[4:6] == ["long.txt:13: line 13", "14\tline 14"]
    assert found[-6:] == ["long.txt:55: line 55", *(f"{n}\tline {n}" for n in range(56, 61))]
    alone = grep(workspace, "line 7$").splitlines()
    assert alone[1:] == ["long.txt:7: line 7", *(f"{n}\tline {n}" for n in range(8, 38))]
    assert len(grep(workspace, "line [1-5]$").splitlines()) == 6  # more than a few: matches alone


def test_of_words_the_line_that_has_most_comes_first(workspace: Workspace, root: Path) -> None:
    (root / "a.py").write_text("session = 1\n" * 5)
    (root / "z.py").write_text("x = 0\nIDLE_SESSION = 600\ny = 1\n")
    found = grep(workspace, "(?i)idle|session").splitlines()
    assert found[:3] == ["6 matches in 2 files", "z.py:2: IDLE_SESSION = 600", "3\ty = 1"]
    assert found[3:] == [f"a.py:{n}: session = 1" for n in range(1, 6)]
    # Anything but words is shown in the order of the files.
    assert grep(workspace, "(?i)(idle|session)").splitlines()[1] == "a.py:1: session = 1"


def test_ranked_matches_stay_within_bounds(workspace: Workspace, root: Path) -> None:
    for number in range(60):
        (root / f"f{number:02}.txt").write_text("one word of two in a line of some length\n" * 100)
    (root / "z.txt").write_text("both alpha and beta\n")
    found = grep(workspace, "alpha|beta|word")
    assert found.startswith("6001 matches in 61 files\n")
    assert len(found) < RESULT_CHARS * 1.1 and "of 6001 matches; narrow" in found.splitlines()[-1]


@pytest.mark.parametrize(
    ("path", "glob", "files"),
    [
        ("src", "", ["src/a.py", "src/deep/b.py"]),
        ("src/deep/b.py", "", ["src/deep/b.py"]),
        ("", "*.md", ["notes.md"]),
        (".", "*.{md,rst}", ["notes.md"]),
        (".", "src/*.py", ["src/a.py"]),
        (".", "**/deep/**", ["src/deep/b.py"]),
        (".", "/src/**/*.py", ["src/a.py", "src/deep/b.py"]),
        ("src", "deep/*.py", ["src/deep/b.py"]),
        (".", "!*.py", ["notes.md"]),
        (".", "[mn]*.md", ["notes.md"]),
    ],
)
def test_path_and_glob(workspace: Workspace, path: str, glob: str, files: list[str]) -> None:
    found = grep(workspace, "Apple", path, glob).splitlines()[1:]
    assert [line.split(":")[0] for line in found if "\t" not in line] == files


def test_ignore_files_count_with_a_glob_too_and_without_a_repository(
    workspace: Workspace, root: Path
) -> None:
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "x.log").write_text("Apple\n")
    (root / "build").mkdir()
    (root / "build" / "x.md").write_text("Apple\n")
    assert "x.log" not in grep(workspace, "Apple", glob="*.log")
    assert grep(workspace, "Apple", glob="*.md").splitlines()[1:] == ["notes.md:2: Apple"]
    # Asked for by name, it is searched.
    assert grep(workspace, "Apple", "build") == "1 match in 1 file\nbuild/x.md:1: Apple"


def test_a_root_that_is_ignored_itself_is_searched(root: Path) -> None:
    """A virtual environment holds a .gitignore that ignores all of it."""
    (root / ".gitignore").write_text("*\n")
    assert "2 matches" in grep(Workspace(root / "src"), "Apple")
    (root / ".git").mkdir()
    assert "2 matches" in grep(Workspace(root / "src"), "Apple")


def test_hidden_files_only_when_named(workspace: Workspace, root: Path) -> None:
    (root / ".github").mkdir()
    (root / ".github" / "ci.py").write_text("Apple\n")
    assert ".github" not in grep(workspace, "Apple", glob="*.py")
    line = "1 match in 1 file\n.github/ci.py:1: Apple"
    assert grep(workspace, "Apple", ".github") == line
    assert grep(workspace, "Apple", glob=".github/**") == line


def test_totals_are_true_and_the_first_files_are_shown(workspace: Workspace, root: Path) -> None:
    for number in range(300):
        (root / f"many{number:03}.txt").write_text("needle in a line of some length\n" * 100)
    subprocess.run(["truncate", "-s", "0", root / "many005.txt"], check=True)
    found = grep(workspace, "needle").splitlines()
    assert found[0] == "29900 matches in 299 files"
    shown = len(found) - 2
    assert found[-1] == f"[showing {shown} of 29900 matches; narrow with path or glob]"
    assert found[1].startswith("many000.txt:1: needle") and found[shown].startswith("many002")
    assert RESULT_CHARS * 0.9 < sum(map(len, found)) < RESULT_CHARS * 1.1
    assert all(grep(workspace, "needle").splitlines() == found for _ in range(3))


def test_the_same_lines_as_plain_ripgrep(workspace: Workspace, root: Path) -> None:
    for number in range(40):
        text = "".join(f"{'x = 1' if n % 3 else ''}\n" * (number % 4) for n in range(number))
        (root / f"f{number}.py").write_text(text)
    for pattern in ("x", "^$", "1$", "", "zz|x ="):
        if not pattern:
            continue
        plain = subprocess.run(
            [ripgrep.binary(), "--no-config", "-c", "--", pattern, "./"],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        counts = [int(line.rpartition(":")[2]) for line in plain.stdout.splitlines()]
        summary = grep(workspace, pattern).splitlines()[0]
        assert summary == f"{sum(counts)} matches in {len(counts)} files"


def test_long_lines_are_clipped_around_the_match(workspace: Workspace, root: Path) -> None:
    (root / "min.js").write_text("é" * 9000 + "needle" + "b" * 9000 + "needle\nneedle\n")
    _, first, second = grep(workspace, "needle", "min.js").splitlines()
    assert "éneedleb" in first and first.count("…") == 2
    assert len(first) <= LINE_CHARS + len("min.js:1: ……")
    assert second == "min.js:2: needle"
    start = grep(workspace, "^é", "min.js").splitlines()[1]
    assert start.startswith("min.js:1: éé") and start.endswith("…")


def test_line_endings_and_encodings(workspace: Workspace, root: Path) -> None:
    (root / "dos.txt").write_bytes(b"needle\r\n")
    (root / "wide.txt").write_text("needle\n", encoding="utf-16")
    (root / "latin.txt").write_bytes(b"needle \xe9\n")
    found = grep(workspace, "^needle").splitlines()
    assert found[:2] == ["3 matches in 3 files", "dos.txt:1: needle"]
    assert grep(workspace, "needle$", "dos.txt").startswith("1 match")


def test_binary_files(workspace: Workspace, root: Path) -> None:
    (root / "image.png").write_bytes(b"\x89PNG\0needle\0")
    assert grep(workspace, "needle") == "No matches."
    assert told(grep, workspace, "needle", "image.png") == (
        "Error: image.png is a binary file; grep searches text."
    )


def test_names_that_are_no_text(workspace: Workspace, root: Path) -> None:
    name = os.fsencode(root) + b"/bad\xff.txt"
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT)
    except OSError:
        pytest.skip("this file system has only names that are text")
    os.write(descriptor, b"needle\n")
    os.close(descriptor)
    assert grep(workspace, "needle") == "1 match in 1 file\nbad\ufffd.txt:1: needle"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "empty"),
        ("foo(", r"unclosed group. To look for this very text, escape it: foo\("),
        ("a[", r"unclosed character class. To look for this very text, escape it: a\["),
        ("*x", "repetition operator missing expression"),
        ("(?=x)", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        ("a\nb", "spans lines"),
        ("a\0b", "spans lines"),
        ("\ud800", "not valid text"),
        ("a" * 20_000, "more than 10000 characters"),
        ("a{1000}{1000}", "size limit"),
    ],
)
def test_patterns_that_cannot_be_searched(workspace: Workspace, pattern: str, words: str) -> None:
    answer = told(grep, workspace, pattern)
    assert answer.startswith("Error:") and words in answer and "\n" not in answer


@pytest.mark.parametrize("pattern", ["--pre=sh", "-e", "--", "-f/etc/passwd", "--files"])
def test_a_pattern_is_never_an_option(workspace: Workspace, root: Path, pattern: str) -> None:
    (root / "options.txt").write_text(f"uses {pattern} here\n")
    assert grep(workspace, pattern, "options.txt").startswith("1 match in 1 file")


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*a){12}$", "(x+x+)+y", "^(a?){25}a{25}"]
)
def test_patterns_that_hang_other_engines(workspace: Workspace, root: Path, pattern: str) -> None:
    (root / "aaa.txt").write_text("a" * 5000 + "!\n")
    assert not told(grep, workspace, pattern, "aaa.txt").startswith("Error")


def test_a_missing_path_names_close_ones(workspace: Workspace) -> None:
    assert told(grep, workspace, "x", "src/b.py") == (
        "Error: src/b.py does not exist. Did you mean src/deep/b.py?"
    )
    assert told(grep, workspace, "x", "sources").startswith("Error: sources does not exist.")


@pytest.mark.parametrize("path", ["deep/b.py", "B.py", "b", "deep", "Deep/", "src/deep/B"])
def test_a_path_may_be_its_end_in_any_case(workspace: Workspace, path: str) -> None:
    assert grep(workspace, "Banana", path).startswith("1 match in 1 file\nsrc/deep/b.py:1:")


def test_a_missing_path_like_nothing_else_is_said_and_everything_searched(
    workspace: Workspace,
) -> None:
    told, found, *_ = grep(workspace, "class Apple", "sources").splitlines()
    assert told == "1 match in 1 file; sources does not exist, so everything was searched"
    assert found == "src/a.py:3: class Apple:"


def test_a_malformed_glob(workspace: Workspace) -> None:
    assert told(grep, workspace, "Apple", glob="*.{py") == (
        "Error: The glob *.{py has an unclosed brace."
    )
    assert "outside the workspace" in told(grep, workspace, "Apple", glob="../*.py")


def test_the_deadline(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ripgrep, "DEADLINE_SECONDS", 0.0)
    # Whether ripgrep printed anything before its end is chance; that it ended is not.
    told(grep, workspace, "Apple")
    assert not process._running


def test_stop_running_ends_the_children(workspace: Workspace, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with process.running(["/bin/cat"], cwd="/", seconds=60, fed=True) as run:
        stopper = threading.Thread(target=process.stop_running)
        stopper.start()
        stopper.join()
        assert run.process.wait() == -9


def test_without_ripgrep(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ripgrep.binary.cache_clear()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(ToolUnavailable, match=r"ripgrep .* not installed"):
            grep(workspace, "x")
    finally:
        ripgrep.binary.cache_clear()
    assert issubclass(ToolUnavailable, ToolError)


def test_one_line_of_many_megabytes(workspace: Workspace, root: Path) -> None:
    with (root / "wide.txt").open("wb") as file:
        for _ in range(64):
            file.write(b"needle in a line without end " * 36_000)
    found = grep(workspace, "needle", "wide.txt")
    assert found.startswith("1 match in 1 file") and len(found) < 2000
