"""`agent acp` in front of a real client of the protocol: the library's own."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Command, environment
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, calls, cut, stall, text

acp = pytest.importorskip("acp", reason="needs the extra `acp`")

THERE = str(Path(__file__).with_name("an_mcp_server.py"))


class Editor:
    """An editor: it keeps what it is told, and answers requests for permission with `answer`."""

    def __init__(self, answer: str = "no") -> None:
        self.answer = answer
        self.updates: list[Any] = []
        self.asked: list[Any] = []
        self.known_when_asked: list[bool] = []
        self.options: list[Any] = []
        self.told = asyncio.Event()
        self.never = asyncio.Event()

    async def session_update(self, session_id: str, update: Any, **more: Any) -> None:
        self.updates.append(update)
        self.told.set()

    async def request_permission(
        self, session_id: str, tool_call: Any, options: list[Any], **more: Any
    ) -> Any:
        self.asked.append(tool_call)
        self.options = options
        started = [u.tool_call_id for u in self.updates if u.session_update == "tool_call"]
        self.known_when_asked.append(tool_call.tool_call_id in started)
        if self.answer == "wait":
            self.told.set()
            await self.never.wait()
        if self.answer == "cancelled":
            outcome: Any = acp.schema.DeniedOutcome(outcome="cancelled")
        else:
            outcome = acp.schema.AllowedOutcome(outcome="selected", option_id=self.answer)
        return acp.schema.RequestPermissionResponse(outcome=outcome)

    def on_connect(self, conn: Any) -> None:
        pass

    def of(self, kind: str) -> list[Any]:
        return [update for update in self.updates if update.session_update == kind]

    @property
    def text(self) -> str:
        return "".join(update.content.text for update in self.of("agent_message_chunk"))


Talk = Callable[[Any, Editor], Awaitable[Any]]
Drive = Callable[..., Any]


@pytest.fixture
def drive(codebase: Path, tmp_path: Path) -> Drive:
    """Run `agent acp` as an editor does, and talk to it."""

    def go(talk: Talk, script: list[Behaviour], *flags: str, answer: str = "no") -> Any:
        with ScriptedEndpoint(script) as endpoint:

            async def session() -> Any:
                editor = Editor(answer)
                url = ["--base-url", endpoint.base_url] if script else []
                started = acp.spawn_agent_process(
                    editor,
                    *(sys.executable, "-m", "agent", "acp", *url, *flags),
                    env=environment(tmp_path),
                    transport_kwargs={"stderr": None},
                )
                async with started as (agent, _):
                    await agent.initialize(protocol_version=acp.PROTOCOL_VERSION)
                    return await talk(agent, editor)

            return asyncio.run(session())

    return go


async def ask(agent: Any, session_id: str, question: str = "Where is Basket?") -> str:
    reply = await agent.prompt(session_id=session_id, prompt=[acp.text_block(question)])
    reason: str = reply.stop_reason
    return reason


async def new(agent: Any, root: Path) -> str:
    made = await agent.new_session(cwd=str(root), mcp_servers=[])
    session_id: str = made.session_id
    return session_id


EDIT = [
    call("edit_file", path="src/price.py", old="    pass", new="    amount = 0"),
    text("Done."),
]


def test_what_it_says_of_itself(drive: Drive) -> None:
    async def talk(agent: Any, editor: Editor) -> Any:
        return await agent.initialize(protocol_version=99)

    said = drive(talk, [text("x")])
    assert said.protocol_version == acp.PROTOCOL_VERSION
    assert said.agent_capabilities.load_session
    assert said.agent_info.name == "agent"


def test_an_answer_is_streamed(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        assert await ask(agent, await new(agent, codebase)) == "end_turn"
        assert editor.text == "Basket is defined in src/basket.py."
        assert len(editor.of("agent_message_chunk")) > 1

    drive(talk, [text("Basket is defined in src/basket.py.")])


def test_a_tool_call_is_told_as_it_happens(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        await ask(agent, await new(agent, codebase))
        [begun] = editor.of("tool_call")
        [done] = editor.of("tool_call_update")
        assert (begun.title, begun.kind) == ("read_file src/basket.py", "read")
        assert begun.locations[0].path == str(codebase / "src" / "basket.py")
        assert (done.tool_call_id, done.status) == (begun.tool_call_id, "completed")
        assert "class Basket" in done.content[0].content.text
        kinds = [update.session_update for update in editor.updates]
        assert kinds.index("tool_call") < kinds.index("tool_call_update")
        assert editor.text == "Let me look.It is a class."

    script = [both("Let me look.", "read_file", path="src/basket.py"), text("It is a class.")]
    drive(talk, script)


def both(said: str, tool: str, **arguments: Any) -> Behaviour:
    """A text, then a call."""

    def behave(handler: Any) -> None:
        handler.begin_stream()
        handler.chunk({"role": "assistant", "content": said})
        function = {"name": tool, "arguments": json.dumps(arguments)}
        entry = {"index": 0, "id": "call_both", "type": "function", "function": function}
        handler.chunk({"role": "assistant", "tool_calls": [entry]})
        handler.chunk({}, "tool_calls")
        handler.end_stream(None)

    return behave


def test_a_permitted_edit_shows_its_diff(drive: Drive, codebase: Path) -> None:
    before = (codebase / "src" / "price.py").read_text()

    async def talk(agent: Any, editor: Editor) -> None:
        assert await ask(agent, await new(agent, codebase)) == "end_turn"
        [begun] = editor.of("tool_call")
        for content in (begun.content, editor.asked[0].content):
            assert content[0].type == "diff"
            assert content[0].path == str(codebase / "src" / "price.py")
            assert content[0].old_text == before
            assert "amount = 0" in content[0].new_text
        assert editor.known_when_asked == [True]
        assert [option.kind for option in editor.options] == [
            "allow_once", "allow_always", "reject_once",
        ]  # fmt: skip
        assert editor.of("tool_call_update")[-1].status == "completed"

    drive(talk, EDIT, answer="once")
    assert "amount = 0" in (codebase / "src" / "price.py").read_text()


@pytest.mark.parametrize("answer", ["no", "cancelled", "something else"])
def test_without_a_yes_nothing_is_written(drive: Drive, codebase: Path, answer: str) -> None:
    before = (codebase / "src" / "price.py").read_bytes()

    async def talk(agent: Any, editor: Editor) -> None:
        await ask(agent, await new(agent, codebase))
        assert len(editor.asked) == 1
        assert editor.of("tool_call_update")[-1].status == "failed"

    drive(talk, EDIT, answer=answer)
    assert (codebase / "src" / "price.py").read_bytes() == before


def test_allowed_always_is_remembered(drive: Drive, codebase: Path, tmp_path: Path) -> None:
    script = [
        call("edit_file", path="src/price.py", old="    pass", new="    amount = 0"),
        call("edit_file", path="src/price.py", old="amount = 0", new="amount = 1"),
        text("Done."),
    ]

    async def talk(agent: Any, editor: Editor) -> None:
        await ask(agent, await new(agent, codebase))
        assert len(editor.asked) == 1

    drive(talk, script, answer="always")
    assert "amount = 1" in (codebase / "src" / "price.py").read_text()
    assert "edit_file" in (tmp_path / "config" / "agent" / "config.toml").read_text()


def test_a_write_can_be_undone(drive: Drive, codebase: Path, command: Command) -> None:
    before = (codebase / "src" / "price.py").read_bytes()

    async def talk(agent: Any, editor: Editor) -> None:
        await ask(agent, await new(agent, codebase))

    drive(talk, EDIT, answer="once")
    assert command("undo").returncode == 0
    assert (codebase / "src" / "price.py").read_bytes() == before


def test_the_editor_changes_the_permission_mode(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        made = await agent.new_session(cwd=str(codebase), mcp_servers=[])
        assert made.modes.current_mode_id == "ask"
        await agent.set_session_mode(session_id=made.session_id, mode_id="accept-edits")
        await ask(agent, made.session_id)
        assert editor.asked == []
        with pytest.raises(acp.RequestError, match="The modes are"):
            await agent.set_session_mode(session_id=made.session_id, mode_id="godmode")

    drive(talk, EDIT)
    assert "amount = 0" in (codebase / "src" / "price.py").read_text()


def test_an_answer_is_cancelled_and_the_conversation_goes_on(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        session_id = await new(agent, codebase)
        asking = asyncio.create_task(ask(agent, session_id))
        await editor.told.wait()
        await agent.cancel(session_id=session_id)
        assert await asking == "cancelled"
        assert await ask(agent, session_id) == "end_turn"
        assert editor.text.endswith("Here it is.")

    drive(talk, [stall("Thinking"), text("Here it is.")])


def test_cancelled_while_the_user_is_asked(drive: Drive, codebase: Path) -> None:
    before = (codebase / "src" / "price.py").read_bytes()

    async def talk(agent: Any, editor: Editor) -> None:
        session_id = await new(agent, codebase)
        asking = asyncio.create_task(ask(agent, session_id))
        while not editor.asked:
            editor.told.clear()
            await editor.told.wait()
        await agent.cancel(session_id=session_id)
        assert await asking == "cancelled"
        editor.never.set()

    drive(talk, EDIT, answer="wait")
    assert (codebase / "src" / "price.py").read_bytes() == before


def test_one_question_at_a_time(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        session_id = await new(agent, codebase)
        asking = asyncio.create_task(ask(agent, session_id))
        await editor.told.wait()
        with pytest.raises(acp.RequestError, match="still answering"):
            await ask(agent, session_id)
        await agent.cancel(session_id=session_id)
        await asking

    drive(talk, [stall("Thinking")])


def test_two_sessions_do_not_mix(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        one, two = await new(agent, codebase), await new(agent, codebase)
        assert one != two
        await ask(agent, one, "What is a queue?")
        await ask(agent, two, "What is a stack?")

    with ScriptedEndpoint([text("A list.")]) as endpoint:
        drive(talk, [], "--base-url", endpoint.base_url)
        assert "queue" not in str(endpoint.requests[1]["messages"])


def test_a_session_is_loaded_and_shown_again(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> str:
        session_id = await new(agent, codebase)
        await ask(agent, session_id, "Show the basket.")
        return session_id

    session_id = drive(talk, [call("read_file", path="src/basket.py"), text("A class.")])

    async def again(agent: Any, editor: Editor) -> None:
        listed = await agent.list_sessions(cwd=str(codebase))
        assert [(s.session_id, s.title) for s in listed.sessions] == [
            (session_id, "Show the basket.")
        ]
        await agent.load_session(cwd=str(codebase), session_id=session_id, mcp_servers=[])
        [question] = editor.of("user_message_chunk")
        assert question.content.text == "Show the basket."
        assert editor.text == "A class."
        assert editor.of("tool_call")[0].title == "read_file src/basket.py"
        assert "class Basket" in editor.of("tool_call_update")[0].content[0].content.text
        assert await ask(agent, session_id, "And its total?") == "end_turn"

    with ScriptedEndpoint([text("Zero.")]) as endpoint:
        drive(again, [], "--base-url", endpoint.base_url)
        assert "Show the basket." in str(endpoint.requests[0]["messages"])


def test_mentioned_and_contained_files_reach_the_model(drive: Drive, codebase: Path) -> None:
    uri = (codebase / "src" / "basket.py").as_uri()

    async def talk(agent: Any, editor: Editor) -> None:
        blocks = [
            acp.text_block("Compare "),
            acp.resource_link_block("basket.py", uri),
            acp.text_block(" with "),
            acp.resource_block(acp.embedded_text_resource("file:///tmp/x.md", "```\nits text")),
        ]
        await agent.prompt(session_id=await new(agent, codebase), prompt=blocks)

    with ScriptedEndpoint([text("They differ.")]) as endpoint:
        drive(talk, [], "--base-url", endpoint.base_url)
        [asked] = [m for m in endpoint.requests[0]["messages"] if m["role"] == "user"]
    assert asked["content"] == (
        "Compare `src/basket.py` with `/tmp/x.md`\n\n/tmp/x.md:\n````\n```\nits text\n````"
    )


def test_a_printed_call_is_not_shown_as_text(drive: Drive, codebase: Path) -> None:
    printed = '<tool_call>{"name": "grep", "arguments": {"pattern": "Basket"}}</tool_call>'

    async def talk(agent: Any, editor: Editor) -> None:
        await ask(agent, await new(agent, codebase))
        assert editor.of("tool_call")[0].title == "grep Basket"
        assert editor.text == "```py\nBasket\n```"

    drive(talk, [text(printed), text("```py\nBasket\n```")])


@pytest.mark.parametrize(
    ("script", "reason", "said"),
    [
        ([text("Half", finish="length")], "max_tokens", "cut off"),
        ([cut("Half")], "max_tokens", "broke off"),
        ([text("")], "end_turn", "empty answer"),
        ([call("grep", pattern="x")], "end_turn", "being stopped"),
        ([calls(("nothing", "{}"), ("nothing", "{}"))], "end_turn", "no tool 'nothing'"),
    ],
)
def test_bad_ends_are_said(
    drive: Drive, codebase: Path, script: list[Behaviour], reason: str, said: str
) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        assert await ask(agent, await new(agent, codebase)) == reason
        assert said in editor.text

    drive(talk, script)


def test_the_editors_own_mcp_servers_are_used(drive: Drive, codebase: Path) -> None:
    pytest.importorskip("fastmcp", reason="needs the extra `mcp`")
    server = acp.schema.McpServerStdio(
        name="The docs", command=sys.executable, args=[THERE], env=[]
    )

    async def talk(agent: Any, editor: Editor) -> None:
        made = await agent.new_session(cwd=str(codebase), mcp_servers=[server])
        await ask(agent, made.session_id)
        assert editor.asked[0].raw_input == {"topic": "grass"}
        assert "grass is blue" in editor.of("tool_call_update")[-1].content[0].content.text

    drive(talk, [call("The-docs_search", topic="grass"), text("Blue.")], answer="once")


@pytest.mark.parametrize("cwd", ["relative", "/no/such/directory"])
def test_a_session_needs_a_directory(drive: Drive, cwd: str) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        with pytest.raises(acp.RequestError, match="absolute path"):
            await agent.new_session(cwd=cwd, mcp_servers=[])

    drive(talk, [text("x")])


def test_what_cannot_be_done_is_one_sentence(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        for session_id in ("../../etc/passwd", "unknown"):
            with pytest.raises(acp.RequestError, match="session"):
                await ask(agent, session_id)
            with pytest.raises(acp.RequestError, match="session"):
                await agent.load_session(cwd=str(codebase), session_id=session_id, mcp_servers=[])
        with pytest.raises(acp.RequestError, match="no question"):
            await agent.prompt(session_id=await new(agent, codebase), prompt=[])

    drive(talk, [text("x")])


def test_no_model_is_one_sentence(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        with pytest.raises(acp.RequestError, match="No endpoint answers"):
            await new(agent, codebase)

    drive(talk, [], "--base-url", "http://127.0.0.1:1/v1")


def test_the_embedded_model_answers_an_editor(drive: Drive, codebase: Path) -> None:
    async def talk(agent: Any, editor: Editor) -> None:
        assert await ask(agent, await new(agent, codebase), "where is Basket defined?")
        assert editor.of("tool_call")
        assert editor.text

    drive(talk, [])


@pytest.mark.parametrize("given", ["/dev/null", "/etc/passwd"])
def test_it_says_so_when_there_is_no_editor(command: Command, given: str) -> None:
    with Path(given).open() as stdin:
        done = command("acp", stdin=stdin)
    assert done.returncode == 2
    assert done.stderr == "agent: `agent acp` talks to an editor through pipes; start it there.\n"


def test_it_ends_with_the_editor(command: Command) -> None:
    done = command("acp", input="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
