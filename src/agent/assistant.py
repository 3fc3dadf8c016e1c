"""The assistant: a PydanticAI agent with our tools, asked one question after the other."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, FunctionToolset, Tool, ToolDefinition
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

from agent import answer, compaction, instructions, model, problems, windows
from agent.checkpoints import Checkpoints
from agent.connect import Endpoint
from agent.context import EMBEDDED, WHOLE, Context, Meter, window_of
from agent.events import Emit, Init, Notice, Problem, Result, both
from agent.exits import UsageError
from agent.extras import Extras
from agent.guards import Guard, RunEnded
from agent.journal import Journal
from agent.mcp_servers import Server
from agent.permissions import READS, Asker, Policy, Rules, view
from agent.prompt import system_prompt
from agent.run import Run, verdict
from agent.settings import Settings
from agent.transport import Stopwatch
from agent_tools import TOOLS, Workspace

# Our guard ends hopeless runs; PydanticAI's own budgets must not come first.
_RETRIES = 1000


def build(
    model: Model, workspace: Workspace, settings: Settings, agents_md: str = ""
) -> Agent[None, str]:
    """The agent: model, system prompt with AGENTS.md, and the tools bound to the workspace."""
    return Agent(
        model,
        instructions=system_prompt(
            settings.system_prompt, settings.append_system_prompt, agents_md
        ),
        tools=[
            _tool(tool, workspace, settings.rules)
            for tool in TOOLS
            if settings.allowed_tools is None or tool.__name__ in settings.allowed_tools
        ],
        retries=_RETRIES,
        name="agent",
    )


def chosen(allowed: Sequence[str] | None, extras: Extras | None = None) -> list[Callable[..., str]]:
    """Those of our tools that are offered to the model.

    Raises:
        UsageError: a name is no tool, neither ours nor among the extras.
    """
    names = [tool.__name__ for tool in TOOLS]
    unknown = [name for name in allowed or () if name not in names]
    if extras:
        unknown = [name for name in unknown if not extras.offers(name)]
        names += extras.names
    if unknown:
        raise UsageError(
            f"--allowed-tools: no tool {unknown[0]!r}; the tools are {', '.join(names)}."
        )
    return [tool for tool in TOOLS if allowed is None or tool.__name__ in allowed]


def _tool(tool: Callable[..., str], workspace: Workspace, rules: Rules) -> Tool[None]:
    bound = tool.__get__(view(tool.__name__, workspace, rules))
    schema = replace(_schema(tool), function=bound)
    return Tool(bound, name=tool.__name__, sequential=True, function_schema=schema)


@cache
def _schema(tool: Callable[..., str]) -> Any:
    """The schema of a tool, which is half the work of making an assistant."""
    return Tool(tool.__get__(object())).function_schema


def _offered(agent: Agent[None, str]) -> list[ToolDefinition]:
    """The tools that are known before a run; those of servers are not."""
    toolsets = [t for t in agent.toolsets if isinstance(t, FunctionToolset)]
    return [tool.tool_def for toolset in toolsets for tool in toolset.tools.values()]


class Assistant:
    """A conversation about one directory with one model."""

    def __init__(
        self,
        settings: Settings,
        endpoint: Endpoint,
        directory: Path,
        emit: Emit = lambda event: None,
        asker: Asker | None = None,
        *,
        journal: Journal | None = None,
        checkpoints: Checkpoints | None = None,
        servers: Sequence[Server] = (),
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Goes on with the conversation in `journal` and records there what happens.

        With `checkpoints` every write can be taken back.

        `servers`: MCP servers besides those in the settings. `stopwatch` learns how long the
        endpoint lets us wait.

        Raises UsageError for a directory or tool that does not exist.
        """
        if not directory.is_dir():
            raise UsageError(f"There is no directory {str(directory)!r}.")
        self.settings = settings
        self.endpoint = endpoint
        self.workspace = Workspace(directory)
        self.emit = emit if journal is None else both(journal.subscriber, emit)
        self.journal = journal
        self.extras = Extras(settings, self.workspace, servers)
        names = (*(tool.__name__ for tool in TOOLS), *settings.extra_tools)
        settings.rules.check(names, self.extras.offers)
        self.policy = Policy(
            settings.permission_mode,
            asker,
            settings.rules,
            self.workspace,
            reads=READS | self.extras.read_only,
        )
        self.checkpoints = checkpoints
        if checkpoints:
            self.workspace.around_commit = checkpoints.recording
        self.session_id = self._new_session()
        self._own = tuple(tool.__name__ for tool in chosen(settings.allowed_tools, self.extras))
        self._model = model.build(endpoint, settings, stopwatch)
        window = window_of(settings, endpoint)
        self.messages: list[ModelMessage] = journal.history(window) if journal else []
        self.instructions = instructions.Instructions()
        if not endpoint.embedded:  # its template drops the system prompt
            self.instructions = instructions.load(self.workspace, instructions.limit_for(window))
        self.context = Context(
            window,
            EMBEDDED if endpoint.embedded else WHOLE,
            system=system_prompt(settings.system_prompt, settings.append_system_prompt),
            agents_md=self.instructions.text,
            max_tokens=settings.max_tokens,
        )
        self._agent = build(self._model, self.workspace, settings, self.instructions.text)
        self.context.offer(_offered(self._agent))
        self._noted = self._asked_window = False

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools offered; those of MCP servers once they are connected."""
        return (*self._own, *self.extras.names)

    async def ask(self, question: str) -> Result:
        """Answer one question; the conversation so far is context.

        Never raises for a run that ends badly, not even when it is cancelled: the result says how
        it ended.
        """
        begun = time.monotonic()
        guard = self._guard()
        if self.journal:
            self.journal.asked(question)
        making_room = compaction.Compaction(
            self.context, self.emit, guard.interventions, find_window=self._find_window
        )
        run = Run(self.emit)
        try:
            await self._begin(guard)
            await run.follow(
                self._agent, question, self.messages, [guard, making_room], self.extras.toolset()
            )
            subtype, message = verdict(run, guard)
        except asyncio.CancelledError:
            subtype, message = "interrupted", "Interrupted."
            run.text = run.partial
            _stay_uncancelled()
        except Exception as error:
            subtype, message = problems.explain(error, self.endpoint, self.settings, run.partial)
            run.text = error.text if isinstance(error, RunEnded) else run.partial
        result = Result(
            subtype=subtype,
            result=answer.plain(run.text).strip(),
            session_id=self.session_id,
            num_turns=guard.turns,
            duration_ms=round((time.monotonic() - begun) * 1000),
            usage=run.usage(),
            model={"name": self.endpoint.model, "hash": run.fingerprint},
            tool_calls=tuple(guard.tool_calls),
            permission_denials=tuple(guard.denials),
            message=message,
            interventions=tuple(guard.interventions),
        )
        if not result.is_error:
            self.messages = run.messages
        if self.journal:
            self.journal.turn(question, result, [] if result.is_error else run.new_messages)
            if making_room.made and not result.is_error:
                self.journal.compacted(self.messages)
        if result.is_error:
            self.emit(Problem(subtype, message))
        self.emit(result)
        return result

    def forget(self) -> None:
        """Begin a new conversation."""
        self.messages = []
        if self.journal:
            self.journal.restart()
        self.session_id = self._new_session()

    def _new_session(self) -> str:
        session_id = self.journal.session_id if self.journal else uuid.uuid4().hex
        if self.checkpoints:
            self.checkpoints.begin(session_id)
        return session_id

    def compact(self) -> Notice:
        """Cut the conversation to about half of what can go, and say what went."""
        before = self.context.tokens(self.messages)
        done = compaction.relieve(self.messages, before, self.context.tokens)
        if done.is_cut:
            self.messages = done.messages
            if self.journal:
                self.journal.compacted(self.messages)
        return compaction.notice(done, before)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.extras.aclose()
        await self._model.client.close()

    async def _begin(self, guard: Guard) -> None:
        """Connect the MCP servers, and tell what the run begins with."""
        missing: list[str] = []
        try:
            missing = await self.extras.open()
        finally:
            guard.known = self.tools
            self.emit(
                Init(
                    self.session_id,
                    self.endpoint.model,
                    str(self.workspace.root),
                    self.tools,
                    self.policy.mode,
                )
            )
        for sentence in missing:
            self.emit(Notice("mcp", sentence))
        self._tell_of_instructions()

    async def _find_window(self) -> int | None:
        if self._asked_window:
            return None
        self._asked_window = True
        return await windows.claimed(self._model.client, self.endpoint.model)

    def _tell_of_instructions(self) -> None:
        if self.instructions.note and not self._noted:
            self.emit(Notice("instructions", self.instructions.note))
        self._noted = True

    def _guard(self) -> Guard:
        return Guard(
            root=str(self.workspace.root),
            policy=self.policy,
            emit=self.emit,
            max_turns=self.settings.max_turns,
            known=self.tools,
            meter=Meter(self.settings.context_window, whole=not self.endpoint.embedded),
        )


def _stay_uncancelled() -> None:
    """The interruption ends the run, not the conversation around it."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
