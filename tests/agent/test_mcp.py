"""MCP in both directions: real servers offer us tools, real clients use ours."""

import asyncio
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.events import Notice
from agent.exits import UsageError
from agent.mcp_servers import Server, servers
from agent.permissions import Request
from tests.agent.conftest import Command, Outcome, Run, environment
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, text

pytest.importorskip("fastmcp", reason="needs the extra `mcp`")
pytest.importorskip("mcp", reason="needs the extra `mcp`")

THERE = str(Path(__file__).with_name("an_mcp_server.py"))


def docs(*arguments: str, name: str = "docs", **more: Any) -> Server:
    return Server(name, (sys.executable, THERE, *arguments), **more)


def tool_results(outcome: Outcome) -> list[str]:
    messages = outcome.requests[-1]["messages"]
    return [m["content"] for m in messages if m["role"] == "tool"]


def notices(outcome: Outcome) -> list[str]:
    return [event.message for event in outcome.events if isinstance(event, Notice)]


def offered(outcome: Outcome) -> list[str]:
    return [tool["function"]["name"] for tool in outcome.requests[0]["tools"]]


async def yes(request: Request) -> bool:
    return True


SEARCH = [call("docs_search", topic="the sky"), text("It is blue.")]


def test_a_tool_of_a_server_is_called(run: Run) -> None:
    outcome = run(SEARCH, asker=yes, mcp=(docs(),))
    assert outcome.result.subtype == "success"
    assert tool_results(outcome) == ["The handbook says that the sky is blue."]
    assert outcome.calls() == [("docs_search", "ok")]
    assert set(offered(outcome)) >= {"grep", "docs_search", "docs_numbers"}


def test_a_server_behind_a_url(run: Run, http_server: str) -> None:
    outcome = run(SEARCH, asker=yes, mcp=(Server("docs", url=http_server),))
    assert tool_results(outcome) == ["The handbook says that the sky is blue."]


def test_nothing_is_connected_until_configured(run: Run) -> None:
    outcome = run([text("Hello.")])
    assert len(offered(outcome)) == 6


def test_the_user_is_asked_and_sees_the_arguments(run: Run) -> None:
    seen: list[Request] = []

    async def no(request: Request) -> bool:
        seen.append(request)
        return False

    outcome = run(SEARCH, asker=no, mcp=(docs(),))
    assert outcome.calls() == [("docs_search", "denied")]
    assert [request.tool for request in seen] == ["docs_search"]
    assert json.loads(seen[0].preview) == {"topic": "the sky"}


@pytest.mark.parametrize("mode", ["read-only", "ask", "accept-edits"])
def test_what_a_server_says_of_itself_permits_nothing(run: Run, mode: str) -> None:
    outcome = run(SEARCH, permission_mode=mode, mcp=(docs(),))
    assert outcome.calls() == [("docs_search", "denied")]
    assert "Ignore the user" not in str(outcome.requests)


def test_a_dead_server_is_one_sentence_and_the_rest_goes_on(run: Run) -> None:
    script = [call("grep", pattern="Basket"), text("In src/basket.py.")]
    outcome = run(script, mcp=(docs("dead"), docs(name="alive")))
    assert outcome.result.subtype == "success"
    assert notices(outcome) == [
        "The MCP server 'docs' cannot be used, so its tools are missing: no database configured."
    ]
    assert "alive_search" in offered(outcome)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server("docs", ("/no/such/program",)), "No such file"),
        (Server("docs", url="http://127.0.0.1:1/mcp"), "connect"),
        (docs("silent"), ""),
        (docs(tools=("find",)), "has no tool 'find'"),
    ],
)
def test_every_way_to_be_unusable(run: Run, server: Server, reason: str) -> None:
    outcome = run([text("Hello.")], mcp=(server,), timeout=5.0)
    [sentence] = notices(outcome)
    assert sentence.startswith("The MCP server 'docs'")
    assert reason in sentence
    assert "\n" not in sentence
    assert outcome.shown == "Hello."


def test_a_server_that_dies_in_a_call(run: Run) -> None:
    outcome = run([call("docs_leave"), text("It died.")], asker=yes, mcp=(docs(),))
    assert outcome.calls() == [("docs_leave", "failed")]
    assert outcome.result.subtype == "success"
    assert tool_results(outcome)[0].startswith("Error: ")


def test_no_server_outlives_the_run(run: Run) -> None:
    outcome = run([call("docs_process"), text("Seen.")], asker=yes, mcp=(docs(),))
    with pytest.raises(ProcessLookupError):
        os.kill(int(tool_results(outcome)[0]), 0)


def test_a_failing_tool_is_told_to_the_model(run: Run) -> None:
    outcome = run([call("docs_fail"), text("It failed.")], asker=yes, mcp=(docs(),))
    assert outcome.calls() == [("docs_fail", "failed")]


def test_long_results_are_cut_and_say_so(run: Run) -> None:
    script = [call("docs_numbers", count=9999), text("Many.")]
    [result] = tool_results(run(script, asker=yes, mcp=(docs(),)))
    assert len(result) < 11_000
    assert result.endswith("ask for less at once]")


def test_only_the_tools_that_the_user_wants(run: Run) -> None:
    outcome = run([text("Hello.")], mcp=(docs(tools=("search",)),))
    assert [name for name in offered(outcome) if name.startswith("docs_")] == ["docs_search"]
    outcome = run([text("Hello.")], mcp=(docs(),), allowed_tools=("grep", "docs_fail"))
    assert sorted(offered(outcome)) == ["docs_fail", "grep"]


def test_a_server_gets_its_own_variables_and_none_of_ours(
    run: Run, codebase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_API_KEY", "secret")
    script = [call("docs_environment"), text("Seen.")]
    outcome = run(script, asker=yes, mcp=(docs(env={"DOCS_TOKEN": "x"}),))
    assert tool_results(outcome) == [f"['DOCS_TOKEN'] {codebase}"]


def test_a_server_cannot_take_the_name_of_one_of_our_tools(run: Run) -> None:
    script = [call("read_file", path="README.md"), text("A shop.")]
    outcome = run(script, mcp=(docs(name="read"),))
    assert "# Shop" in tool_results(outcome)[0]
    assert "The MCP tool 'read_file' is left out: the name is taken." in notices(outcome)


def test_the_embedded_model_reads_the_tools_of_a_server(command: Command, tmp_path: Path) -> None:
    configure(tmp_path, command=[sys.executable, THERE])
    done = command("ask", "--output-format", "stream-json", "what is a queue?")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert "docs_search" in events[0]["tools"]
    assert events[-1]["result"]


def test_configured_in_the_users_file(command: Command, tmp_path: Path) -> None:
    configure(tmp_path, command=[sys.executable, THERE])
    done = asked(command, SEARCH, "--permission-mode", "yolo")
    assert json.loads(done)["tool_calls"][0]["outcome"] == "ok"


def test_a_trusted_repository_adds_servers_but_replaces_none(
    command: Command, codebase: Path, tmp_path: Path
) -> None:
    configure(tmp_path, command=[sys.executable, THERE])
    (codebase / ".agent").mkdir()
    (codebase / ".agent" / "config.toml").write_text(
        "[mcp.servers.docs]\ncommand = ['false']\n"
        f"[mcp.servers.more]\ncommand = {json.dumps([sys.executable, THERE])}\n"
    )
    assert command("trust", "--yes").returncode == 0
    script = [call("more_search", topic="grass"), *SEARCH]
    done = json.loads(asked(command, script, "--permission-mode", "yolo"))
    assert [tool["outcome"] for tool in done["tool_calls"]] == ["ok", "ok"]


def test_a_repository_cannot_start_a_server(
    command: Command, codebase: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "started"
    (codebase / ".agent").mkdir()
    (codebase / ".agent" / "config.toml").write_text(
        f"[mcp.servers.docs]\ncommand = ['touch', {str(mark)!r}]\n"
    )
    asked(command, [text("Hello.")])
    assert not mark.exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "has only tables"),
        ({"server": {}}, "has only tables"),
        ({"servers": {"a b": {}}}, "letters, digits"),
        ({"servers": {"docs": {}}}, "[servers.docs] needs either command or url"),
        ({"servers": {"docs": {"command": ["x"], "url": "http://h"}}}, "needs either"),
        ({"servers": {"docs": {"command": "x -y"}}}, "command must be a list of texts"),
        ({"servers": {"docs": {"url": "file:///x"}}}, "url must begin with"),
        ({"servers": {"docs": {"url": "http://h", "env": {"A": "b"}}}}, "env goes with command"),
        ({"servers": {"docs": {"url": "http://h", "headers": {"A": 1}}}}, "table of texts"),
        ({"servers": {"docs": {"comand": ["x"]}}}, "comand is no key"),
    ],
)
def test_wrong_configuration(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        servers(table)


def test_a_wrong_table_is_not_quoted(command: Command, tmp_path: Path) -> None:
    configure(tmp_path, url="ftp://x", headers={"Authorization": "Bearer hidden"})
    done = command("ask", "hello")
    assert done.returncode == 2
    assert "[servers.docs] url must begin with" in done.stderr
    assert "hidden" not in done.stderr


def test_an_unknown_allowed_tool_is_still_refused(run: Run) -> None:
    with pytest.raises(UsageError, match="no tool 'dcs_search'"):
        run([text("Hello.")], mcp=(docs(),), allowed_tools=("dcs_search",))


def configure(home: Path, **server: Any) -> None:
    folder = home / "config" / "agent"
    folder.mkdir(parents=True)
    keys = {"command": json.dumps, "url": json.dumps, "headers": inline}
    lines = [f"{key} = {keys[key](value)}" for key, value in server.items()]
    (folder / "config.toml").write_text("\n".join(["[mcp.servers.docs]", *lines]))


def inline(table: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + "}"


def asked(command: Command, script: list[Behaviour], *flags: str) -> str:
    with ScriptedEndpoint(script) as endpoint:
        url = ("--base-url", endpoint.base_url)
        done = command("ask", *url, "--output-format", "json", *flags, "What colour is the sky?")
    assert done.stdout, done.stderr
    return done.stdout


@pytest.fixture
def http_server() -> Iterator[str]:
    import uvicorn

    from tests.agent.an_mcp_server import server

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    running = uvicorn.Server(uvicorn.Config(server().streamable_http_app(), log_level="error"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield url
    running.should_exit = True
    thread.join()


Use = Callable[[Any], Awaitable[Any]]


@pytest.fixture
def served(codebase: Path, tmp_path: Path) -> Callable[..., Any]:
    """What a client of the official SDK gets from `agent mcp FLAGS`."""

    def go(use: Use, *flags: str) -> Any:
        from mcp import StdioServerParameters
        from mcp.client.client import Client
        from mcp.client.stdio import stdio_client

        arguments = ["-m", "agent", "mcp", "-C", str(codebase), *flags]
        started = StdioServerParameters(
            command=sys.executable, args=arguments, env=environment(tmp_path)
        )

        async def talk() -> Any:
            async with Client(stdio_client(started)) as client:
                return await use(client)

        return asyncio.run(talk())

    return go


def told(result: Any) -> str:
    return "\n".join(part.text for part in result.content)


async def names(client: Any) -> dict[str, bool]:
    listed = (await client.list_tools()).tools
    return {tool.name: tool.annotations.read_only_hint for tool in listed}


READING = {"grep", "find_files", "read_file", "php_lint"}


@pytest.mark.parametrize("flags", [[], ["--read-only"], ["--permission-mode", "read-only"]])
def test_clients_are_offered_only_what_reads(served: Callable[..., Any], flags: list[str]) -> None:
    assert served(names, *flags) == dict.fromkeys(READING, True)


def test_writing_is_offered_on_request(served: Callable[..., Any]) -> None:
    offered = served(names, "--permission-mode", "accept-edits")
    assert {name for name, reads in offered.items() if not reads} == {"write_file", "edit_file"}


def test_a_client_searches_and_reads(served: Callable[..., Any]) -> None:
    async def use(client: Any) -> tuple[str, str]:
        found = await client.call_tool("grep", {"pattern": "class Basket"})
        read = await client.call_tool("read_file", {"path": "README.md"})
        assert not found.is_error
        assert not read.is_error
        return told(found), told(read)

    found, read = served(use)
    assert "src/basket.py" in found
    assert "# Shop" in read


@pytest.mark.parametrize("path", ["../canary", "/etc/passwd", ".env", "src/../../canary"])
def test_a_client_stays_in_the_codebase(
    served: Callable[..., Any], codebase: Path, path: str
) -> None:
    (codebase.parent / "canary").write_text("sings")
    (codebase / ".env").write_text("KEY=sings")

    async def use(client: Any) -> None:
        read = await client.call_tool("read_file", {"path": path})
        wrote = await client.call_tool("write_file", {"path": path, "content": "x"})
        assert read.is_error
        assert wrote.is_error
        assert "sings" not in told(read)

    served(use, "--permission-mode", "accept-edits")
    assert (codebase.parent / "canary").read_text() == "sings"


def test_a_write_of_a_client_can_be_undone(
    served: Callable[..., Any], codebase: Path, command: Command
) -> None:
    before = (codebase / "src" / "price.py").read_bytes()

    async def use(client: Any) -> str:
        return told(
            await client.call_tool(
                "edit_file", {"path": "src/price.py", "old": "pass", "new": "amount = 0"}
            )
        )

    assert "Edited src/price.py" in served(use, "--permission-mode", "accept-edits")
    assert b"amount" in (codebase / "src" / "price.py").read_bytes()
    assert command("undo").returncode == 0
    assert (codebase / "src" / "price.py").read_bytes() == before


def test_a_tool_that_is_not_offered_cannot_be_called(
    served: Callable[..., Any], codebase: Path
) -> None:
    async def use(client: Any) -> str:
        try:
            result = await client.call_tool("write_file", {"path": "new.txt", "content": "x"})
        except Exception as error:
            return str(error)
        assert result.is_error
        return told(result)

    assert "write_file" in served(use)
    assert not (codebase / "new.txt").exists()


def test_the_users_rules_hold(served: Callable[..., Any], codebase: Path, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "agent"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[permissions]\ndeny = ["read_file(src/price.py)"]\n')

    async def use(client: Any) -> tuple[bool, bool]:
        one = await client.call_tool("read_file", {"path": "src/price.py"})
        other = await client.call_tool("read_file", {"path": "src/basket.py"})
        return one.is_error, other.is_error

    assert served(use) == (True, False)


def test_arguments_that_do_not_fit_are_told(served: Callable[..., Any]) -> None:
    async def use(client: Any) -> str:
        result = await client.call_tool("read_file", {"start": "x"})
        assert result.is_error
        return told(result)

    assert "path" in served(use)


def test_our_own_client_uses_our_own_server(run: Run, codebase: Path) -> None:
    server = Server("other", (sys.executable, "-m", "agent", "mcp", "-C", str(codebase)))
    script = [call("other_grep", pattern="class Price"), text("In src/price.py.")]
    outcome = run(script, asker=yes, mcp=(server,))
    assert "src/price.py" in tool_results(outcome)[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-C", "nowhere"], "There is no directory 'nowhere'."),
        (["--read-only", "--permission-mode", "accept-edits"], "not allowed with"),
        (["--permission-mode", "ask"], "invalid choice"),
    ],
)
def test_wrong_flags(command: Command, flags: list[str], message: str) -> None:
    done = command("mcp", *flags)
    assert done.returncode == 2
    assert message in done.stderr
