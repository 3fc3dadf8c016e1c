"""The installed command as a subprocess, with the embedded model, in an empty HOME."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "evals" / "fixtures"
AGENT = str(Path(sys.executable).with_name("agent"))

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def codebase(tmp_path: Path) -> Path:
    """A copy of a small Python package."""
    return Path(shutil.copytree(FIXTURES / "tidewatch", tmp_path / "tidewatch"))


@pytest.fixture(scope="session")
def agent(home: Path) -> Command:
    """`agent ARGUMENTS` in `cwd`, with `stdin` given or empty; its output as text."""
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(AGENT).parent), os.environ["PATH"]]),
        "HF_HUB_OFFLINE": "1",
    }

    def run(
        *arguments: str, cwd: Path, stdin: str | bytes = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [AGENT, *arguments],
            cwd=cwd,
            input=data,
            capture_output=True,
            env=environment | variables,
            timeout=300,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object of `--output-format json`."""
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded
