"""What can be typed after a slash. A command is a function here; its docstring is its help."""

import asyncio
import difflib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.exits import AgentError
from agent.settings import MODES

if TYPE_CHECKING:
    from agent.repl.repl import Repl

Run = Callable[["Repl", str], Awaitable[None]]


@dataclass(frozen=True)
class Command:
    """`usage`: what follows. `choices`: what completes it, with a line of meaning or none.

    `idle`: not during an answer.
    """

    name: str
    usage: str
    run: Run
    choices: Callable[["Repl"], Mapping[str, str]]
    idle: bool

    @property
    def meaning(self) -> str:
        """The first line of the docstring, as the help shows it."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0].rstrip(".")


COMMANDS: dict[str, Command] = {}


def command(
    usage: str = "",
    choices: Callable[["Repl"], Mapping[str, str]] = lambda repl: {},
    *,
    idle: bool = False,
) -> Callable[[Run], Run]:
    """Register a function as the command of its name."""

    def register(function: Run) -> Run:
        name = function.__name__.rstrip("_")
        COMMANDS[name] = Command(name, usage, function, choices, idle)
        return function

    return register


def meanings() -> dict[str, str]:
    """Every command with one line of help."""
    return {name: command.meaning for name, command in COMMANDS.items()}


def arguments(repl: "Repl", name: str) -> Mapping[str, str]:
    """What may follow the command, for completion."""
    return COMMANDS[name].choices(repl) if name in COMMANDS else {}


def is_command(text: str) -> bool:
    """A slash and one word; `/etc/hosts says …` is a question."""
    return text.startswith("/") and "/" not in text.split(maxsplit=1)[0][1:]


async def run(repl: "Repl", text: str) -> None:
    """Run the command line `text`, which begins with a slash."""
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean /{close[0]}?" if close else ". /help lists them."
        repl.view.note(f"There is no command /{name}{hint}", "yellow")
        return
    try:
        if COMMANDS[name].idle and repl.busy:
            raise AgentError("An answer is being written; Esc stops it.")
        await COMMANDS[name].run(repl, rest.strip())
    except AgentError as error:
        repl.view.note(str(error), "yellow")


@command()
async def help_(repl: "Repl", rest: str) -> None:
    """List the commands and keys."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for each in COMMANDS.values():
        table.add_row(f"/{each.name} {each.usage}".strip(), each.meaning)
    for keys, meaning in (
        ("!command", "Run a command in the shell; the model does not see it"),
        ("@file", "Complete the path of a file"),
        ("Esc, Ctrl-C", "Interrupt the answer; Ctrl-C twice, Ctrl-D: quit"),
        ("Shift-Tab", f"Next permission mode: {', '.join(MODES)}"),
        ("Ctrl-J, Alt-Enter", "New line"),
        ("Ctrl-R, Ctrl-G", "Search what was typed before; edit in $EDITOR"),
    ):
        table.add_row(keys, meaning)
    repl.view.console.print(table)


@command(idle=True)
async def clear(repl: "Repl", rest: str) -> None:
    """Begin a new conversation on an empty screen."""
    repl.talk.new()
    repl.view.console.clear()


@command(idle=True)
async def compact(repl: "Repl", rest: str) -> None:
    """Drop the oldest tool results and turns to make room."""
    repl.view.note(repl.talk.compact(), "")


@command()
async def context(repl: "Repl", rest: str) -> None:
    """Show what fills the model's context window."""
    for line in repl.talk.context():
        repl.view.note(line, "")


@command("[MODEL]", idle=True)
async def model(repl: "Repl", rest: str) -> None:
    """Show the model, or go on with another one."""
    talk = repl.talk
    if rest:
        repl.view.note(f"Loading {rest} …")
        await talk.use(rest)
    if talk.endpoint is None:
        raise AgentError("The model is still loading.")
    weights = talk.last.model.get("hash") if talk.last and not rest else None
    repl.view.note(" ".join(filter(None, [talk.endpoint.model, talk.endpoint.base_url, weights])))


@command()
async def tools(repl: "Repl", rest: str) -> None:
    """List what the model may call."""
    from agent_tools import TOOLS

    ours = {tool.__name__: (inspect.getdoc(tool) or "").partition("\n")[0] for tool in TOOLS}
    for name in repl.talk.assistant.tools:
        repl.view.note(f"{name:<11} {ours.get(name, 'of yours')}", "")


@command("[MODE]", choices=lambda repl: dict.fromkeys(MODES, ""))
async def permissions(repl: "Repl", rest: str) -> None:
    """Show what the model may do, or set the mode."""
    if rest and rest not in MODES:
        raise AgentError(f"There is no mode {rest!r}; the modes are {', '.join(MODES)}.")
    if rest:
        repl.talk.set_mode(rest)
    for line in repl.talk.permissions():
        repl.view.note(line, "")


@command("[N|all]", choices=lambda repl: {"all": "all of this conversation"}, idle=True)
async def undo(repl: "Repl", rest: str) -> None:
    """Take back the assistant's last write, or its last N."""
    if rest and rest != "all" and not (rest.isdecimal() and int(rest)):
        raise AgentError("Say how many writes to take back: /undo, /undo 3 or /undo all.")
    for line in repl.talk.undo("all" if rest == "all" else int(rest or 1)):
        repl.view.note(line, "")


@command("[ID]", choices=lambda repl: repl.talk.sessions(), idle=True)
async def resume(repl: "Repl", rest: str) -> None:
    """Go on with an earlier conversation."""
    repl.view.note(await repl.talk.resume(rest or None), "")


@command()
async def diff(repl: "Repl", rest: str) -> None:
    """Show what the assistant changed in this conversation."""
    changed = repl.talk.diff()
    if changed:
        repl.view.diff(changed)
    else:
        repl.view.note("Nothing was changed in this conversation.")


@command()
async def init(repl: "Repl", rest: str) -> None:
    """Write an AGENTS.md that describes this codebase."""
    from agent import overview
    from agent_tools import Workspace, write_file

    workspace = Workspace(repl.directory)
    if (workspace.root / "AGENTS.md").exists():
        raise AgentError("AGENTS.md exists already; edit it, or remove it first.")
    text = overview.draft(workspace)
    repl.view.markdown(text)
    if await repl.ask("Write this to AGENTS.md? [y/N] ") in ("y", "yes"):
        repl.view.note(write_file(workspace, "AGENTS.md", text), "")


@command()
async def doctor(repl: "Repl", rest: str) -> None:
    """Check the endpoint, the model and this machine."""
    from agent.doctor.examine import examine

    talk = repl.talk
    repl.view.note("Checking; this takes a while …")
    findings = await asyncio.to_thread(lambda: list(examine(talk.settings, talk.endpoint)))
    for found in findings:
        style = {"ok": "green", "warning": "yellow"}.get(found.status, "red")
        advice = "" if found.status == "ok" else f" {found.advice}"
        repl.view.note(f"{found.status:<8} {found.name}: {found.finding}{advice}", style)


@command("[NOTE]")
async def good(repl: "Repl", rest: str) -> None:
    """Rate the last answer as good."""
    repl.talk.rate("good", rest)
    repl.view.note("Noted.")


@command("[NOTE]")
async def bad(repl: "Repl", rest: str) -> None:
    """Rate the last answer as bad."""
    repl.talk.rate("bad", rest)
    repl.view.note("Noted; /fix ANSWER says what it should have been.")


@command("ANSWER")
async def fix(repl: "Repl", rest: str) -> None:
    """Say what the last answer should have been."""
    if not rest:
        raise AgentError("Say what the answer should have been: /fix The right answer.")
    repl.talk.rate("fix", rest)
    repl.view.note("Noted.")


@command()
async def quit_(repl: "Repl", rest: str) -> None:
    """Leave."""
    repl.leaving = True
