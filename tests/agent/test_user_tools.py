"""User tools: functions of installed packages, off until the user's settings name them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import plugins
from agent.exits import UsageError
from agent.permissions import Request
from tests.agent.conftest import Command, Outcome, Run
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, text

MODULE = '''
from __future__ import annotations

from pathlib import Path

from agent_tools import ToolError, Workspace


def count_words(text: str, least: int = 1) -> int:
    """Count the words of a text.

    Args:
        text: What to count in.
        least: Shortest word that counts.
    """
    return len([word for word in text.split() if len(word) >= least])


count_words.read_only = True


async def publish(target: str) -> dict[str, str]:
    """Publish the package."""
    if target == "moon":
        raise ToolError("There is no moon; use earth.")
    if target == "mars":
        raise KeyError("mars")
    return {"published": target}


def top(workspace: Workspace) -> str:
    """Name what is at the top of the codebase."""
    with workspace.open_file("README.md") as (descriptor, _):
        return Path(f"/dev/fd/{descriptor}").read_text().strip()


def silent(text: str) -> str:
    return text


def strange(thing: Nowhere) -> str:
    """Take what has no schema."""
    return ""


grep = count_words
number = 3
'''
POINTS = """\
[agent.tools]
count_words = shop_tools:count_words
publish = shop_tools:publish
top = shop_tools:top
silent = shop_tools:silent
strange = shop_tools:strange
grep = shop_tools:grep
number = shop_tools:number
missing = shop_tools:missing
broken = shop_broken:anything
"""


def install(site: Path, name: str, points: str, **modules: str) -> Path:
    """A package as an installer leaves it."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    return site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the packages are installed, on the path of this process."""
    folder = install(
        tmp_path / "site", "shop-tools", POINTS, shop_tools=MODULE, shop_broken="import nowhere"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "shop_tools", raising=False)
    return folder


def tool_results(outcome: Outcome) -> list[str]:
    messages = outcome.requests[-1]["messages"]
    return [m["content"] for m in messages if m["role"] == "tool"]


async def yes(request: Request) -> bool:
    return True


COUNT = [call("count_words", text="a bee sees", least=3), text("Two.")]
PUBLISH = [call("publish", target="earth"), text("Published.")]


def test_signature_and_docstring_are_the_schema(run: Run, site: Path) -> None:
    outcome = run([text("Hello.")], extra_tools=("count_words",))
    tools = {tool["function"]["name"]: tool["function"] for tool in outcome.requests[0]["tools"]}
    assert tools["count_words"]["description"] == "Count the words of a text."
    properties = tools["count_words"]["parameters"]["properties"]
    assert properties["text"] == {"type": "string", "description": "What to count in."}
    assert properties["least"]["default"] == 1


def test_off_until_named(run: Run, site: Path) -> None:
    outcome = run([text("Hello.")])
    assert len(outcome.requests[0]["tools"]) == 6


def test_one_that_only_reads_runs_unasked(run: Run, site: Path) -> None:
    outcome = run(COUNT, extra_tools=("count_words",), permission_mode="read-only")
    assert outcome.calls() == [("count_words", "ok")]
    assert tool_results(outcome) == ["2"]


@pytest.mark.parametrize("mode", ["read-only", "ask", "accept-edits"])
def test_any_other_needs_permission(run: Run, site: Path, mode: str) -> None:
    outcome = run(PUBLISH, extra_tools=("publish",), permission_mode=mode)
    assert outcome.calls() == [("publish", "denied")]
    assert outcome.result.subtype == "denied"


def test_the_user_may_permit_it(run: Run, site: Path) -> None:
    outcome = run(PUBLISH, extra_tools=("publish",), asker=yes)
    assert json.loads(tool_results(outcome)[0]) == {"published": "earth"}


@pytest.mark.parametrize(
    ("target", "told"), [("moon", "There is no moon; use earth."), ("mars", "failed with KeyError")]
)
def test_failures_are_told_to_the_model(run: Run, site: Path, target: str, told: str) -> None:
    script = [call("publish", target=target), text("It failed.")]
    outcome = run(script, extra_tools=("publish",), asker=yes)
    assert outcome.calls() == [("publish", "failed")]
    assert told in tool_results(outcome)[0]
    assert outcome.result.subtype == "success"


def test_wrong_arguments_are_told_to_the_model(run: Run, site: Path) -> None:
    script = [call("count_words", least=2), *COUNT]
    outcome = run(script, extra_tools=("count_words",))
    assert outcome.calls() == [("count_words", "failed"), ("count_words", "ok")]
    assert "needs 'text' (string)" in tool_results(outcome)[0]


def test_a_tool_may_work_in_the_codebase(run: Run, site: Path) -> None:
    outcome = run([call("top"), text("A shop.")], extra_tools=("top",), asker=yes)
    assert tool_results(outcome) == ["# Shop"]
    assert outcome.requests[0]["tools"][-1]["function"]["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no installed package offers a tool 'nothing'; offered are: broken, "),
        ("silent", "no docstring"),
        ("strange", "the parameters of 'strange': name 'Nowhere' is not defined"),
        ("grep", "shop-tools may not call a tool 'grep'"),
        ("number", "it is no function"),
        ("missing", "'missing' of shop-tools cannot be loaded (AttributeError"),
        ("broken", "'broken' of shop-tools cannot be loaded (ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(
    run: Run, site: Path, name: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        run([text("Hello.")], extra_tools=(name,))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name(site: Path) -> None:
    install(site, "other-tools", "[agent.tools]\npublish = shop_tools:top\n")
    with pytest.raises(UsageError, match="both offer 'publish'"):
        plugins.load(["publish"])


def test_allowed_tools_covers_them(run: Run, site: Path) -> None:
    named: Any = {"extra_tools": ("count_words", "publish")}
    outcome = run([text("Hello.")], allowed_tools=("grep", "publish"), **named)
    names = [tool["function"]["name"] for tool in outcome.requests[0]["tools"]]
    assert names == ["grep", "publish"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "(no output)"),
        (["a", "b"], "a\nb"),
        (None, "null"),
        ({"path": Path("a/b")}, '{\n "path": "a/b"\n}'),
    ],
)
def test_results_as_the_model_reads_them(value: object, shown: str) -> None:
    assert plugins.as_text(value) == shown


def test_named_in_the_users_file(command: Command, tmp_path: Path, site: Path) -> None:
    folder = tmp_path / "config" / "agent"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('extra_tools = ["count_words"]\n')
    result = asked(command, COUNT, tmp_path, site)
    assert result["tool_calls"][0]["name"] == "count_words"
    assert result["tool_calls"][0]["outcome"] == "ok"


def asked(command: Command, script: list[Behaviour], home: Path, site: Path) -> dict[str, Any]:
    from tests.agent.conftest import environment

    variables = environment(home, PYTHONPATH=str(site))
    with ScriptedEndpoint(script) as endpoint:
        url = ("--base-url", endpoint.base_url)
        done = command("ask", *url, "--output-format", "json", "How many?", env=variables)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
