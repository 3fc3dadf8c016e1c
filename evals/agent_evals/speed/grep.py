"""The grep tool against plain ripgrep: same pattern, same tree."""

import re
import subprocess
import sysconfig
from pathlib import Path

from agent_evals.speed.measure import Line, Options, SpeedError, interleaved, seconds
from agent_tools import Workspace
from agent_tools import grep as tool
from agent_tools.ripgrep import binary

_PATTERN = r"class \w*(Error|Exception)\b"


def lines(options: Options) -> list[Line]:
    """On the installed packages, a tree of a size that every machine has."""
    tree = Path(sysconfig.get_paths()["purelib"])
    workspace = Workspace(tree)
    # The tree may lie in a virtual environment that a repository around it ignores.
    rg = [binary(), "--no-ignore-parent", "--line-number", "--regexp", _PATTERN, "."]
    _check_same(workspace, rg, tree)
    ours, rival = interleaved(
        max(options.repeats, 7),
        lambda: seconds(lambda: tool(workspace, _PATTERN)),
        lambda: seconds(lambda: _plain(rg, tree)),
    )
    return [Line("grep tool, installed packages", ours, rival, "s", "plain rg", "<=", 1.3)]


def _plain(rg: list[str], tree: Path) -> bytes:
    return subprocess.run(rg, cwd=tree, capture_output=True, check=False).stdout


def _check_same(workspace: Workspace, rg: list[str], tree: Path) -> None:
    found = re.match(r"(\d+) match", tool(workspace, _PATTERN))
    ours, theirs = int(found[1]) if found else 0, _plain(rg, tree).count(b"\n")
    if ours != theirs or not ours:
        raise SpeedError(f"the tool finds {ours} matches and rg {theirs}, so times say nothing")
