"""Without the extras everything else works, and what needs them says how to get them."""

import sys
from pathlib import Path

import pytest

from agent import installing
from tests.agent.conftest import Command, environment
from tests.scripted_endpoint import ScriptedEndpoint, text

ROOT = Path(__file__).parents[2]
ABSENT = "import sys; sys.modules.update(acp=None, mcp=None, fastmcp=None)"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python in which the extras are not installed."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(ABSENT)
    return environment(tmp_path, PYTHONPATH=str(tmp_path / "bare"))


@pytest.mark.parametrize("name", ["mcp", "acp"])
def test_the_command_names_its_extra(command: Command, bare: dict[str, str], name: str) -> None:
    done = command(name, env=bare)
    assert done.returncode == 2
    said = f"agent: `agent {name}` needs its extra: {installing.command(name)}.\n"
    assert (done.stderr, str(ROOT) in said) == (said, True)


def test_configured_servers_name_the_extra(
    command: Command, bare: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "config" / "agent"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f"[mcp.servers.docs]\ncommand = [{sys.executable!r}]\n")
    with ScriptedEndpoint([text("Hello.")]) as endpoint:
        done = command("ask", "--base-url", endpoint.base_url, "hello", env=bare)
    assert done.returncode == 2
    assert installing.command("mcp") in done.stderr
    assert "Traceback" not in done.stderr


def test_everything_else_works(command: Command, bare: dict[str, str]) -> None:
    with ScriptedEndpoint([text("Hello.")]) as endpoint:
        done = command("ask", "--base-url", endpoint.base_url, "hello", env=bare)
    assert (done.returncode, done.stdout) == (0, "Hello.\n")
