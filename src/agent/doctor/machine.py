"""This machine: libraries, programs, terminal and folders."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.finding import Finding, ok, problem, warning

_SLOW_GFLOPS = 10.0
_NARROW = 80
_LITTLE_SPACE = 500_000_000
_SECONDS = 60
_MOST_FILES = 5_000


def blas() -> Finding:
    """Whether matrix products are fast; in another process, because a bad library may end it."""
    name = "BLAS"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "agent.doctor.product"],
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return problem(name, "MLX hangs in a matrix product.", "Install agent anew.")
    if not done.stdout.strip():
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        return problem(name, f"MLX does not run: {reason}.", "Install agent anew.")
    fast, gflops = map(float, done.stdout.split())
    if not fast or gflops < _SLOW_GFLOPS:
        return warning(
            name,
            f"Matrix products are slow: {gflops:.0f} GFLOP/s; models run here will be, too. "
            + done.stderr.strip(),
            "Install agent anew (`uv sync`), or the system's OpenBLAS "
            "(Debian: libopenblas0-pthread).",
        )
    return ok(name, f"MLX multiplies matrices at {gflops:,.0f} GFLOP/s.")


def rg() -> Finding:
    """Whether ripgrep is there and finds something."""
    from agent_tools import Workspace, ripgrep
    from agent_tools.errors import ToolError
    from agent_tools.grep import grep

    name, advice = "rg", "Install agent anew (`uv sync`), or ripgrep with the system's packages."
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.txt").write_text("needle\n")
            found = grep(Workspace(Path(folder)), "needle")
            binary = ripgrep.binary()
        version = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        ).stdout.partition("\n")[0]
    except (ToolError, OSError, subprocess.SubprocessError) as error:
        return problem(name, f"Searching does not work: {error}", advice)
    if not found.startswith("1 match"):
        return problem(name, f"{binary} ({version}) did not find a word that is there.", advice)
    return ok(name, f"{version}, {_tilde(Path(binary))}")


def php() -> Finding:
    """What checks PHP syntax here, and whether it tells right from wrong."""
    from agent_tools import Workspace
    from agent_tools.errors import ToolError
    from agent_tools.php_lint import php_lint

    name, advice = "php", "Install PHP's command line (Debian: php-cli) or repair it."
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "good.php").write_text("<?php echo 1;\n")
            (Path(folder) / "bad.php").write_text("<?php echo 1 +;\n")
            good, bad = (php_lint(Workspace(Path(folder)), f"{n}.php") for n in ("good", "bad"))
    except (ToolError, OSError, ImportError) as error:
        return problem(name, f"PHP cannot be checked: {error}", advice)
    checker = good.rpartition("(")[2].rstrip(")")
    if "no syntax errors" not in good or "no syntax errors" in bad:
        return problem(name, f"{checker} does not tell right from wrong PHP.", advice)
    if shutil.which("php") is None:
        advice = "For PHP's own messages install its command line (Debian: php-cli)."
        return ok(name, f"Syntax is checked by {checker}.", advice)
    return ok(name, f"Syntax is checked by {checker}.")


def confinement() -> Finding:
    """Whether the system itself keeps the programs that tools run from all but reading."""
    from agent_tools import confine, ripgrep
    from agent_tools.errors import ToolError
    from agent_tools.process import running

    name = "confinement"
    if not confine.version():
        return warning(
            name,
            "This system has no Landlock: rg and php are kept in the codebase by our checks alone.",
            "Linux has it from 5.13 on (landlock among its security modules); others: nothing.",
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            inside, outside = Path(folder, "inside"), Path(folder, "outside")
            inside.write_text("needle\n")
            outside.write_text("needle\n")
            argv = (ripgrep.binary(), "--no-config", "--no-messages", "needle", inside, outside)
            words = tuple(map(str, argv))
            with running(words, cwd="/", seconds=_SECONDS, reads=[str(inside)]) as run:
                found = run.process.communicate()[0].decode().splitlines()
    except (ToolError, OSError) as error:
        return problem(name, f"Programs cannot be confined: {error}", "Look for rg and php above.")
    if found != [f"{inside}:needle"]:
        return problem(name, "rg could read what it was not given.", "Tell us, with your kernel.")
    network = "" if confine.version() >= confine.KNOWS_TCP else "; connections need a newer kernel"
    return ok(name, f"Landlock {confine.version()}: rg and php can only read{network}.")


def terminal() -> Finding:
    """Width, colour and encoding of standard output."""
    name, out = "terminal", sys.stdout
    encoding = (getattr(out, "encoding", None) or "none").lower()
    if "utf" not in encoding:
        return warning(
            name,
            f"The encoding is {encoding}, so other letters are shown as escapes.",
            "Set LANG=C.UTF-8 or PYTHONUTF8=1.",
        )
    if not out.isatty():
        return ok(name, f"Output is not a terminal ({encoding}): plain text, nobody is asked.")
    width, kind = shutil.get_terminal_size().columns, os.environ.get("TERM", "")
    if kind in ("", "dumb"):
        advice = "Nothing, if plain text is meant; else set TERM, for example to xterm-256color."
        return warning(name, f"TERM is {kind or 'not set'}: plain text without colour.", advice)
    if width < _NARROW:
        advice = f"Make it at least {_NARROW} columns wide: lines wrap."
        return warning(name, f"The terminal is {width} columns wide.", advice)
    colour = "no colour (NO_COLOR)" if os.environ.get("NO_COLOR") else f"colour ({kind})"
    return ok(name, f"{width} columns, {colour}, {encoding}.")


def folders() -> Finding:
    """Whether what we keep has a place that is writable, private and not full."""
    from platformdirs import user_cache_path, user_state_path

    from agent.settings import user_file

    name, state, settings = "folders", user_state_path("agent"), user_file()
    ours = [state, settings.parent, user_cache_path("agent")]
    findings = [finding for folder in ours if (finding := _folder(name, folder)) is not None]
    if findings:
        return min(findings, key=lambda found: found.status != "problem")
    with_key = [settings] if settings.is_file() and b"api_key" in settings.read_bytes() else []
    for path in (*with_key, *_open_files(state)):
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            return warning(name, f"Others may read {path}.", f"`chmod 600 {path}`")
    return ok(name, f"Writable and private: {', '.join(map(_tilde, ours))}")


def _tilde(path: Path) -> str:
    """The path as people write it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _open_files(folder: Path) -> Iterator[Path]:
    """The first files below a folder in places that others may enter."""
    waiting, seen = [folder], 0
    while waiting and seen < _MOST_FILES:
        there = waiting.pop()
        if not there.is_dir() or not there.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
            continue
        for entry in there.iterdir():
            seen += 1
            if entry.is_dir() and not entry.is_symlink():
                waiting.append(entry)
            elif entry.is_file():
                yield entry


def _folder(name: str, folder: Path) -> Finding | None:
    """What is wrong with a folder; one that is not there yet must be possible to make."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        return problem(name, f"{there} is not a folder.", "Move it away.")
    if not os.access(there, os.W_OK | os.X_OK):
        return problem(name, f"{there} cannot be written.", f"`chmod u+rwx {there}`, or own it.")
    if shutil.disk_usage(there).free < _LITTLE_SPACE:
        return warning(name, f"The disk of {there} is nearly full.", "Make room on it.")
    if there != folder:
        return None
    mode = there.stat()
    if mode.st_uid != os.getuid():
        return problem(name, f"{folder} belongs to somebody else.", f"`chown $USER {folder}`")
    if mode.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return problem(name, f"Others may write to {folder}.", f"`chmod 700 {folder}`")
    return None
