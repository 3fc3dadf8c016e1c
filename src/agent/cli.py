"""The command line. Everything heavy is imported by the command that needs it."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import flags
from agent.exits import BY_SUBTYPE, AgentError, Exit, UsageError, table

# The settings that `agent ask` takes as flags.
FLAGS = (
    *("model", "base_url", "adapter", "output_format", "max_turns", "max_tokens", "timeout"),
    *("allowed_tools", "permission_mode", "system_prompt", "append_system_prompt", "keep_alive"),
)
_GLOBAL = ("-h", "--help", "--version")
# Command to the module whose `main(argv)` runs it, and its line in the help. The benchmark and the
# training stand above the assistant, which knows only their names.
_BY_NAME = {
    "bench": ("agent_evals.cli", "measure models and speed"),
    "train": ("agent_training.cli", "train a model"),
    "sessions": ("agent.commands.sessions", "list, show, search, export and delete sessions"),
    "undo": ("agent.commands.undo", "take back what the assistant wrote"),
    "diff": ("agent.commands.diff", "show what the assistant changed"),
    "config": ("agent.commands.config", "show every setting and where it came from"),
    "trust": ("agent.commands.trust", "honour the configuration of a codebase"),
    "doctor": ("agent.commands.doctor", "check the endpoint, the model and this machine"),
    "mcp": ("agent.commands.mcp", "serve our tools to other programs"),
    "acp": ("agent.commands.acp", "serve the assistant to an editor"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `agent.exits`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except AgentError as error:
        print(f"agent: {error}", file=sys.stderr)
        return BY_SUBTYPE[error.subtype]
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in _BY_NAME:
        return _by_name(arguments[0], arguments[1:])
    if arguments and arguments[0] in ("-p", "--print"):
        arguments = ["ask", *arguments[1:]]
    if not arguments or (arguments[0][0:1] == "-" and arguments[0] not in _GLOBAL):
        return _converse(_conversation_parser().parse_args(arguments))
    options = _parser().parse_args(arguments)
    if options.command == "ask":
        return _ask(options)
    if options.command in ("serve", "ps", "stop"):
        from agent import endpoints

        return endpoints.run(options)
    _parser().print_help()
    return Exit.OK


def _converse(options: argparse.Namespace) -> int:
    from agent import repl, settings

    directory = Path(options.directory)
    resume = "" if options.resume is True else options.resume
    return repl.run(directory, settings.load(_given(options), root=directory), resume)


def _given(options: argparse.Namespace) -> dict[str, object]:
    """The settings that stand on the command line."""
    values = {name: getattr(options, name, None) for name in FLAGS}
    return {name: value for name, value in values.items() if value is not None}


def _by_name(command: str, arguments: list[str]) -> int:
    from importlib import import_module

    try:
        module = import_module(_BY_NAME[command][0])
    except ModuleNotFoundError as error:
        raise UsageError(f"`agent {command}` is not installed ({error.name} is missing).") from None
    return int(module.main(arguments) or 0)


def _ask(options: argparse.Namespace) -> int:
    from agent import settings

    directory = Path(options.directory)
    merged = settings.load(_given(options), root=directory)
    if options.batch is not None:
        from agent.batch import batch

        if options.resume is not None:
            raise UsageError("--batch keeps no sessions; it has nothing to continue or resume.")
        return batch(options.batch, directory, merged, record=not options.no_session)
    from agent.ask import ask

    return ask(
        options.question, directory, merged, record=not options.no_session, resume=options.resume
    )


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"agent {version('agent')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent",
        usage="agent [options], agent command …",
        description="A private coding assistant on a local model. Without a command: a "
        "conversation about the codebase here, with the options of `ask`.",
        epilog=f"exit codes:\n{table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    _add_ask(commands.add_parser("ask", help="answer a question", allow_abbrev=False))
    serve = commands.add_parser("serve", help="serve a model to other programs", allow_abbrev=False)
    serve.add_argument("-m", "--model", default="embedded", help="folder or Hugging Face id")
    serve.add_argument("--adapter", help="LoRA adapter for the model")
    serve.add_argument("--host", default="127.0.0.1", help="any but loopback needs AGENT_API_KEY")
    serve.add_argument("--port", type=int, default=8080)
    commands.add_parser("ps", help="list background models", allow_abbrev=False)
    stop = commands.add_parser("stop", help="stop background models", allow_abbrev=False)
    stop.add_argument("model", nargs="?", help="only this one")
    for name, (_, meaning) in _BY_NAME.items():
        commands.add_parser(name, help=meaning, add_help=False)
    return parser


def _conversation_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent", description="A conversation about a codebase.", allow_abbrev=False
    )
    _add_conversation(parser)
    return parser


def _add_ask(ask: argparse.ArgumentParser) -> None:
    ask.add_argument("question", nargs="*", help="the question; `-` reads it from standard input")
    _add_conversation(ask)
    ask.add_argument("--no-session", action="store_true", help="keep nothing, not even for undo")
    ask.add_argument("--output-format", metavar="FORMAT", help="text, json or stream-json")
    ask.add_argument("--batch", metavar="FILE", help="JSON lines with a question each; - for stdin")


def _add_conversation(ask: argparse.ArgumentParser) -> None:
    """What a conversation and a single question have in common."""
    flags.add_endpoint(ask)
    ask.add_argument("-C", "--directory", default=".", help="the codebase; default: here")
    ask.add_argument(
        *("-c", "--continue"),
        dest="resume",
        action="store_const",
        const=True,
        help="go on with this directory's latest session",
    )
    ask.add_argument(
        *("-r", "--resume"),
        nargs="?",
        const=True,
        metavar="ID",
        help="go on with this session (see `agent sessions`); without ID: the latest",
    )
    ask.add_argument("--max-turns", metavar="N", help="model turns before the run is stopped")
    ask.add_argument("--max-tokens", metavar="N", help="longest answer")
    ask.add_argument("--allowed-tools", metavar="NAMES", help="comma-separated; default: all")
    ask.add_argument(
        "--permission-mode", metavar="MODE", help="read-only, ask, accept-edits or yolo"
    )
    ask.add_argument("--system-prompt", metavar="TEXT", help="replaces the built-in one")
    ask.add_argument("--append-system-prompt", metavar="TEXT", help="added to it")
    ask.add_argument("--keep-alive", metavar="TIME", help="idle life of a background model: 5m")
    ask.add_argument("--timeout", metavar="TIME", help="patience with a silent endpoint: 300s")
