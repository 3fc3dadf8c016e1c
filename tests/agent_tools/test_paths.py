"""No tool reads or writes outside the root, whatever the path."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_tools import (
    ToolError,
    Workspace,
    edit_file,
    find_files,
    grep,
    php_lint,
    read_file,
    write_file,
)

from .calls import told
from .conftest import CANARY

PIECES = st.sampled_from(
    [
        "..", ".", "", "src", "deep", "a.py", "canary.txt", "outside", "project", "out", "OUT",
        "abs", "up", "loop", "SRC", "..\u2215", "\uff0e\uff0e", "..%2f", "\u202e..", "a\0b",
        "\udc80", "\ud800", "~", "nul\u0000", "-", "x" * 300, "e\u0301", "é",
    ]
)  # fmt: skip
PATHS = st.one_of(
    st.lists(PIECES, min_size=1, max_size=7).map("/".join),
    st.lists(PIECES, min_size=1, max_size=7).map(lambda p: "/" + "/".join(p)),
    st.text(max_size=20),
)
IN_TEST = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def link_traps(root: Path, canary: Path) -> None:
    (root / "out").symlink_to(canary.parent)
    (root / "abs").symlink_to(canary)
    (root / "src" / "up").symlink_to("../../outside")
    (root / "loop").symlink_to("loop")


@pytest.fixture
def trapped(workspace: Workspace, root: Path, canary: Path) -> Workspace:
    link_traps(root, canary)
    return workspace


@IN_TEST
@given(path=PATHS)
def test_no_path_reads_outside(trapped: Workspace, root: Path, canary: Path, path: str) -> None:
    for start in ("", f"{root}/", f"{canary.parent}/"):
        with suppress(ToolError, FileNotFoundError), trapped.open_file(start + path) as (file, _):
            assert CANARY not in os.read(file, 100).decode()


@IN_TEST
@given(path=PATHS)
def test_no_path_writes_outside(trapped: Workspace, root: Path, canary: Path, path: str) -> None:
    told(write_file, trapped, path, "overwritten")
    assert canary.read_text() == CANARY
    assert [p.name for p in canary.parent.iterdir()] == ["canary.txt"]
    assert {p.name for p in root.parent.iterdir()} == {"home", "outside", "project"}


@settings(IN_TEST, max_examples=15)
@given(path=PATHS)
def test_no_path_gets_through_a_tool(trapped: Workspace, canary: Path, path: str) -> None:
    for tool in (read_file, find_files, php_lint, lambda w, p: grep(w, "canary-con", p)):
        assert CANARY not in told(tool, trapped, path)
    told(edit_file, trapped, path, CANARY, "overwritten")
    assert canary.read_text() == CANARY


@pytest.mark.parametrize("path", ["out", "out/canary.txt", "abs", "src/up", "../outside"])
@pytest.mark.parametrize("tool", [read_file, php_lint, lambda w, p: grep(w, "canary", p)])
def test_links_that_leave_are_refused(
    trapped: Workspace, tool: Callable[..., str], path: str
) -> None:
    answer = told(tool, trapped, path)
    assert answer == f"Error: {path} is outside the workspace; use a path relative to its root."


def test_a_sibling_with_the_same_beginning_is_outside(workspace: Workspace, root: Path) -> None:
    sibling = root.parent / "project-secret"
    sibling.mkdir()
    (sibling / "x.txt").write_text(CANARY)
    assert "outside the workspace" in told(read_file, workspace, f"{sibling}/x.txt")
    assert "outside the workspace" in told(read_file, workspace, "../project-secret/x.txt")


def test_absolute_paths_and_links_inside_are_fine(workspace: Workspace, root: Path) -> None:
    (root / "link").symlink_to("src/deep")
    (root / "absolute").symlink_to(root / "src" / "a.py")
    heading = "src/deep/b.py: lines 1-2 of 2"
    for path in (f"{root}/src/deep/b.py", "link/b.py", "./src/../src/deep//b.py"):
        assert read_file(workspace, path).startswith(heading)
    assert read_file(workspace, "absolute").startswith("src/a.py:")


def test_a_root_given_through_a_link(root: Path) -> None:
    alias = root.parent / "alias"
    alias.symlink_to(root)
    workspace = Workspace(alias)
    for start in (alias, root):
        assert read_file(workspace, f"{start}/notes.md").startswith("notes.md:")


def test_circle_of_links(workspace: Workspace, root: Path) -> None:
    (root / "loop").symlink_to("loop")
    assert told(read_file, workspace, "loop") == "Error: loop goes round in a circle of links."


def test_special_files_are_refused_at_once(
    workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe")
    (root / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        # Paths of sockets are short, so this one is bound from inside.
        monkeypatch.chdir(root)
        server.bind("sock")
        for tool in (read_file, php_lint, lambda w, p: grep(w, "x", p)):
            assert "named pipe" in told(tool, workspace, "pipe")
            assert "outside the workspace" in told(tool, workspace, "zero")
        assert (
            told(write_file, workspace, "pipe", "x") == "Error: pipe is a named pipe, not a file."
        )
        assert told(grep, workspace, "Apple").startswith("3 matches in 3 files")
        assert "sock is a socket" in told(read_file, workspace, "sock")


SWAPPING = """
import ctypes, os, sys
swap, trap, away = (os.fsencode(path) for path in sys.argv[1:])
libc = ctypes.CDLL(None)
exchange = getattr(libc, "renameat2", None)
while True:
    if exchange:
        exchange(-100, swap, -100, trap, 2)
    else:
        for one, other in ((swap, away), (trap, swap), (away, trap)):
            os.rename(one, other)
"""


def test_swapping_a_directory_for_a_link_lets_nothing_out(
    workspace: Workspace, root: Path, canary: Path
) -> None:
    """While tools work in `swap`, another process makes it now a directory, now a link outside."""
    swap, trap = root / "swap", root / "trap"
    swap.mkdir()
    trap.symlink_to(canary.parent)
    (swap / "canary.txt").write_text("inside")
    attack = [sys.executable, "-c", SWAPPING, str(swap), str(trap), str(root / "away")]
    outcomes = set()
    with subprocess.Popen(attack) as attacker:
        try:
            for turn in range(2000):
                outcomes.add(told(read_file, workspace, "swap/canary.txt").split("\n")[-1])
                if turn % 5 == 0:
                    told(write_file, workspace, f"swap/new{turn % 16}.txt", "written")
                    told(write_file, workspace, "swap/canary.txt", f"1\t{turn}")
            for _ in range(10):
                assert CANARY not in told(grep, workspace, "canary-content", "swap")
        finally:
            attacker.kill()
    assert not any(CANARY in outcome for outcome in outcomes)
    # Both states were met.
    assert any("outside the workspace" in outcome for outcome in outcomes)
    assert any(outcome.startswith("1\t") for outcome in outcomes)
