"""Programs that tools run read what they need and do nothing else, where Linux has Landlock."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent_tools import Workspace, confine, grep, php_lint, ripgrep
from agent_tools.process import running

landlock = pytest.mark.skipif(not confine.version(), reason="this system has no Landlock")

# Says of everything that it tries whether it was let.
ATTACKER = r"""
import ctypes, json, os, signal, socket, subprocess, sys
root, outside, port, parent = sys.argv[1:5]
inside, canary = f"{root}/a.txt", f"{outside}/canary.txt"

def connect(address, kind=socket.AF_INET):
    with socket.socket(kind) as s:
        s.connect(address)

def bind():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))

tried = {
    "read": lambda: open(inside).read(),
    "read outside": lambda: open(canary).read(),
    "read through a link": lambda: open(f"{root}/link").read(),
    "read by going up": lambda: open(f"{root}/../outside/canary.txt").read(),
    "list outside": lambda: os.listdir(outside),
    "list": lambda: os.listdir(root),
    "passwords": lambda: open("/etc/passwd").read(),
    "another's environment": lambda: open(f"/proc/{parent}/environ").read(),
    "write": lambda: open(inside, "a"),
    "write outside": lambda: open(canary, "a"),
    "create": lambda: open(f"{root}/new", "x"),
    "create in /tmp": lambda: open(f"/tmp/{os.getpid()}", "x"),
    "truncate": lambda: os.truncate(inside, 0),
    "delete": lambda: os.unlink(inside),
    "delete outside": lambda: os.unlink(canary),
    "rename": lambda: os.rename(inside, f"{root}/b.txt"),
    "hard link": lambda: os.link(canary, f"{root}/hard"),
    "symlink": lambda: os.symlink(canary, f"{root}/soft"),
    "make a directory": lambda: os.mkdir(f"{root}/dir"),
    "make a pipe": lambda: os.mkfifo(f"{root}/pipe"),
    "run another": lambda: subprocess.run(["/bin/ls"], check=True, stdin=0),
    "connect": lambda: connect(("127.0.0.1", int(port))),
    "listen": lambda: bind(),
    "connect without a path": lambda: connect(f"\0agent-{port}", socket.AF_UNIX),
    "end the parent": lambda: os.kill(int(parent), 0),
}
let = []
for name, attempt in tried.items():
    try:
        attempt()
    except OSError:
        continue
    let.append(name)
print(json.dumps(let))
"""
# What only later versions of Landlock can forbid.
LATER = {2: ["hard link"], 3: ["truncate"], 4: ["connect", "listen"],
         6: ["connect without a path", "end the parent"]}  # fmt: skip


@landlock
def test_a_confined_program_reads_what_it_is_given_and_nothing_else(
    root: Path, canary: Path
) -> None:
    (root / "a.txt").write_text("inside")
    (root / "link").symlink_to(canary)
    python = os.path.realpath(sys.executable)
    # Python reads its library, and lists where it is.
    reads = [str(root), sys.base_prefix, str(Path(python).parent)]
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        port = tcp.getsockname()[1]
        unix.bind(f"\0agent-{port}")
        unix.listen()
        arguments = (str(root), str(canary.parent), str(port), str(os.getpid()))
        argv = (python, "-I", "-S", "-c", ATTACKER, *arguments)
        before = sorted(root.rglob("*"))
        with running(argv, cwd=str(root), seconds=60, reads=reads) as run:
            out, errors = run.process.communicate()
    assert not errors, errors.decode()
    since = [name for version, names in LATER.items() if version > confine.version()
             for name in names]  # fmt: skip
    assert set(json.loads(out)) - set(since) == {"read", "list"}
    assert (root / "a.txt").read_text() == "inside" or "truncate" in since
    assert sorted(root.rglob("*")) == before


@landlock
def test_ripgrep_is_confined_to_the_workspace(
    workspace: Workspace, root: Path, canary: Path
) -> None:
    """It would believe an ignore file that leads out, or read one without end."""
    (root / "found.txt").write_text("needle\n")
    rules = canary.parent.parent / "rules"
    rules.write_text("found.txt\n")
    for leads in (rules, Path("/dev/zero"), Path("/etc/passwd")):
        (root / ".gitignore").unlink(missing_ok=True)
        (root / ".gitignore").symlink_to(leads)
        assert grep(workspace, "needle") == "1 match in 1 file\nfound.txt:1: needle"


def test_ignore_files_above_the_root_still_count(root: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text("*.log\n")
    (root / ".git" / "info" / "exclude").write_text("*.tmp\n")
    for name in ("a.py", "a.log", "a.tmp"):
        (root / "src" / name).write_text("needle\n")
    assert ripgrep.files(Workspace(root / "src")) == ["a.py", "deep/b.py"]


@landlock
def test_php_is_given_no_files_at_all(
    workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its standard input is the file; here a stand-in, a copy of the shell, is told to try."""
    (root / "a.php").write_text(f"cat {root}/a.php; echo > {root}/new; echo tried\n")
    stand_in = root.parent / "bin" / "php"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\nread -r line\neval "$line"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent))
    with pytest.raises(Exception, match=r"no verdict: .*tried"):
        php_lint(workspace, "a.php")
    assert not (root / "new").exists()


def test_only_what_was_started_is_confined(root: Path) -> None:
    cat = str(shutil.which("cat"))
    with running((cat, "/etc/hostname"), cwd="/", seconds=60) as run:
        run.process.wait()
    (root / "new.txt").write_text("written")
    assert Path("/etc/passwd").read_text()
    thread = threading.Thread(target=(root / "newer.txt").write_text, args=["written"])
    thread.start()
    thread.join()
    assert (root / "newer.txt").read_text() == "written"


def test_a_program_that_is_not_there_is_told_and_leaves_no_descriptor() -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(FileNotFoundError), running(("/no/such",), cwd="/", seconds=60):
            pass
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_without_landlock_programs_run_all_the_same(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "version", lambda: 0)
    assert grep(workspace, "Banana").startswith("1 match")
