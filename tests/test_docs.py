"""README.md and AGENTS.md: every path they name exists and every command they show runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.exits import MEANING
from agent.repl.commands import COMMANDS
from tests.scripted_endpoint import ScriptedEndpoint, text

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCUMENTS = ["README.md", "AGENTS.md", "docs/using.md"]


def commands() -> list[str]:
    found = []
    for name in DOCUMENTS:
        blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
        found += [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    inline = re.findall(r"`(uv run [^`]+)`", (ROOT / "AGENTS.md").read_text())
    return list(dict.fromkeys(found + inline))


def is_check(command: str) -> bool:
    """Installing, tests, lint and types: `.ci/run` runs these on a clean clone."""
    return bool(re.search(r"^uv sync|pytest|ruff|mypy|lint-imports", command))


def is_long(command: str) -> bool:
    """Takes hours or minutes; its parts are tested in tests/training and tests/evals."""
    return bool(re.search(r"agent (train|bench)", command))


@pytest.mark.parametrize("command", [c for c in commands() if is_check(c)])
def test_checks_are_what_ci_runs(command: str) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    tool = command.split(" tests/")[0].replace("uv sync", "uv sync --quiet")
    assert tool in script


@pytest.mark.parametrize("command", [c for c in commands() if is_long(c)])
def test_long_commands_are_understood(command: str) -> None:
    program, *words = command.removeprefix("uv run ").split()
    subcommands = [word for word in words[:2] if word.isalpha()]
    done = subprocess.run(
        [str(BIN / program), *subcommands, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for flag in re.findall(r" (--[a-z-]+)", command):
        assert flag in done.stdout


@pytest.mark.parametrize(
    "command", [c for c in commands() if not is_check(c) and not is_long(c) and "serve" not in c]
)
def test_commands_run(command: str, tmp_path: Path) -> None:
    """As written, in a copy of a fixture; other servers and models are stood in for."""
    shop = tmp_path / "shop"
    shutil.copytree(ROOT / "evals" / "fixtures" / "depot", shop)
    here = tmp_path / "here"
    shutil.copytree(ROOT / "evals" / "fixtures" / "tidewatch", here)
    subprocess.run("git init -q; git add .", shell=True, cwd=here, check=True)
    (here / "questions.jsonl").write_text('{"question": "what is a queue?"}\n')
    (here / "config.py").write_text("DEBUG = True\n")
    with (here / "tidewatch" / "settings.py").open("a") as settings:
        settings.write("RETRIES = 3\n")
    command = command.removeprefix("pip install uv && uv run ")
    with ScriptedEndpoint([text("By asking the guard.")]) as other:
        command = command.replace("http://localhost:11434/v1", other.base_url)
        embedded = shlex.quote(str(ROOT / "src" / "agent" / "embedded"))
        command = re.sub(r"--model mlx-community/\S+", f"--model {embedded}", command)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=here,
            env={
                "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
                "HOME": str(tmp_path),
                "AGENT_KEEP_ALIVE": "0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_exist(document: str) -> None:
    written = (ROOT / document).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", written)
    paths = re.findall(r"`([\w.][\w./-]*/[\w./-]*)`", written)
    top_level = {path.name for path in ROOT.iterdir()}
    ours = [path for path in paths if path.split("/")[0] in top_level]
    assert links or ours
    made = (".training", "tools/agent_tools/NAME")
    missing = [path for path in ours if not (ROOT / path).exists() and not path.startswith(made)]
    missing += [link for link in links if not ((ROOT / document).parent / link).exists()]
    assert missing == []


def test_the_commands_of_a_conversation_are_told() -> None:
    told = set(re.findall(r"`/([a-z]+)", (ROOT / "docs" / "using.md").read_text()))
    assert told == set(COMMANDS)


def test_the_table_of_exit_codes_is_the_one_in_the_code() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", readme, re.MULTILINE))
    assert rows == {str(code.value): meaning for code, meaning in MEANING.items()}


def test_the_two_commands_come_first() -> None:
    first, second = commands()[:2]
    assert first.startswith("pip install uv && uv run agent ask ")
    assert second == "uv run --group dev pytest"
