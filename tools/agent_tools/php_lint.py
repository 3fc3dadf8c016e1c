"""The php_lint tool: PHP's own syntax check where PHP is, else tree-sitter's, and which it was."""

import functools
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from agent_tools import ripgrep, suggest
from agent_tools.errors import ToolError
from agent_tools.process import running
from agent_tools.truncate import counted, fitting, joined
from agent_tools.workspace import Workspace

if TYPE_CHECKING:
    from tree_sitter import Language

DEADLINE_SECONDS = 60.0
_FILE_SECONDS = 10
_LARGEST = 16 << 20
# A shell sets the limits: no time without end, no memory without end, no file written.
_LIMITED = f'ulimit -t {_FILE_SECONDS}; ulimit -v 2000000; ulimit -f 0; exec "$0" "$@"'
_FOUND = re.compile(r"^(?:PHP )?(?:Parse|Fatal) error:\s+(.*) in .* on line (\d+)$", re.MULTILINE)

# The line and message of the first syntax error, or None.
Fault = tuple[int, str] | None
Checker = Callable[[bytes], Fault]


def php_lint(workspace: Workspace, path: str) -> str:
    """Check PHP syntax.

    Args:
        path: PHP file, or directory of them.
    """
    check, name = _checker()

    def look(path: str) -> str:
        with workspace.locate(path) as place:
            is_directory = stat.S_ISDIR(place.status().st_mode)
            relative = place.relative
        if not is_directory:
            return f"{_line(relative, check(_content(workspace, path)))} ({name})"
        files = [f for f in ripgrep.files(workspace, path) if f.lower().endswith(".php")]
        return _report(workspace, files, check, name) if files else f"No PHP files in {relative}."

    return suggest.looked(workspace, path, look)


def _report(workspace: Workspace, files: list[str], check: Checker, name: str) -> str:
    deadline = monotonic() + DEADLINE_SECONDS

    def checked(file: str) -> str | None:
        if monotonic() > deadline:
            return None
        try:
            fault = check(_content(workspace, file))
        except (ToolError, FileNotFoundError) as error:
            return f"{file}: not checked: {error}"
        return _line(file, fault) if fault else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(checked, files))
    failing = [outcome for outcome in outcomes if outcome]
    done = sum(outcome is not None for outcome in outcomes)
    shown = fitting(failing)
    count = counted(done, "PHP file", "PHP files")
    lines = [f"{count} checked, {len(failing)} with errors ({name})", *failing[:shown]]
    if shown < len(failing):
        lines.append(f"[showing {shown} of {len(failing)} errors; lint a directory further down]")
    if done < len(files):
        lines.append(f"[checked {done} of {len(files)} files; lint a directory further down]")
    return joined(lines)


def _line(path: str, fault: Fault) -> str:
    return f"{path}:{fault[0]}: {fault[1]}" if fault else f"{path}: no syntax errors"


def _content(workspace: Workspace, path: str) -> bytes:
    with workspace.open_file(path) as (descriptor, relative):
        if os.fstat(descriptor).st_size > _LARGEST:
            raise ToolError(f"{relative} is larger than 16 MB; too large to check.")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read()


def _checker() -> tuple[Checker, str]:
    php = shutil.which("php")
    if php is None:
        return _tree_sitter, "tree-sitter-php"
    return lambda content: _php(php, content), f"php -l, {_version(php)}"


@functools.cache
def _version(php: str) -> str:
    printed = _run(php, ["-v"], b"")
    return " ".join(printed.split()[:2])


def _php(php: str, content: bytes) -> Fault:
    printed = _run(php, ["-l", "-d", "display_errors=1", "-d", "log_errors=0"], content)
    found = _FOUND.search(printed)
    if found:
        return int(found.group(2)), found.group(1)
    if printed.startswith("No syntax errors"):
        return None
    raise ToolError(f"php -l gave no verdict: {printed.strip()[:200] or 'no output'}.")


def _run(php: str, arguments: Iterable[str], content: bytes) -> str:
    """PHP without configuration, the content on its standard input: it has no file to run."""
    argv = ("/bin/sh", "-c", _LIMITED, php, "-n", *arguments)
    with running(argv, cwd="/", seconds=_FILE_SECONDS, fed=True, programs=[php]) as run:
        output, _ = run.process.communicate(content)
    if run.timed_out:
        raise ToolError(f"php -l took longer than {_FILE_SECONDS} s.")
    return output.decode(errors="replace").strip()


@functools.cache
def _php_grammar() -> "Language":
    import tree_sitter_php
    from tree_sitter import Language

    return Language(tree_sitter_php.language_php())


def _tree_sitter(content: bytes) -> Fault:
    from tree_sitter import Parser

    node = Parser(_php_grammar()).parse(content).root_node
    if not node.has_error:
        return None
    while not (node.is_error or node.is_missing):
        inner = next((c for c in node.children if c.has_error or c.is_missing), None)
        if inner is None:
            break
        node = inner
    what = f", missing {node.type}" if node.is_missing else ""
    return node.start_point.row + 1, f"syntax error{what}"
