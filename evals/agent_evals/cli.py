"""`agent bench`: measure models on a suite; its subcommands are modules of their own."""

import argparse
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import get_args

from agent.exits import BY_SUBTYPE, AgentError, UsageError
from agent.render import note
from agent_evals.public import SETS
from agent_evals.suite import DEFAULT, Split

# Each in a module of its own with `main(argv) -> int`, imported when called.
_SUBCOMMANDS = {
    "compare": ("agent_evals.compare", "what differs between two runs"),
    "report": ("agent_evals.page", "a page about a run, with every transcript"),
    "show": ("agent_evals.show", "one case, with its gold call executed"),
    "validate": ("agent_evals.validate", "check a suite"),
    "speed": ("agent_evals.speed", "measure ourselves against named rivals"),
}


def main(argv: Sequence[str]) -> int:
    """Run `agent bench ARGV`; returns the exit code (see `agent.exits`)."""
    try:
        if argv and argv[0] in _SUBCOMMANDS:
            return _subcommand(argv[0])(argv[1:])
        options = _parser().parse_args(argv)
        from agent_evals import bench

        return bench.bench(options, ["agent", "bench", *argv])
    except AgentError as error:
        note(f"agent: {error}")
        return BY_SUBTYPE[error.subtype]


def _subcommand(name: str) -> Callable[[Sequence[str]], int]:
    module = _SUBCOMMANDS[name][0]
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"This installation of agent does not have `agent bench {name}`.")
    main: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    return main


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError
    return names


def _parser() -> argparse.ArgumentParser:
    others = "\n".join(f"  agent bench {name:9} {help}" for name, (_, help) in _SUBCOMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="agent bench",
        description="Measure whether a model knows when to call a tool, and calls the right one.\n"
        "The same command again goes on where the last one stopped.",
        epilog=f"others:\n{others}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--suite",
        default=DEFAULT,
        help=f"a suite's name or file, or a public set, {', '.join(SETS)}, as SET:PATH; "
        f"default: {DEFAULT}",
    )
    add("--split", choices=get_args(Split), help="only the cases of this split")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-m", "--model", help="folder, Hub id, or name at --base-url")
    which.add_argument("--models", type=_names, metavar="A,B,…", help="several, in turn")
    which.add_argument("--config", metavar="FILE", help="the [[configuration]] tables of a file")
    add("--base-url", help="an OpenAI-compatible endpoint; key in AGENT_API_KEY")
    add("--adapter", help="LoRA adapter for --model")
    add("--out", help="folder for the results; default: one below .bench, by what is measured")
    add("--fresh", action="store_true", help="start anew; results that are there are moved aside")
    add("--limit", type=_positive, metavar="N", help="only N cases, of all kinds")
    add("--epochs", type=_positive, default=1, metavar="N", help="how often each case is run")
    add("--concurrency", type=_positive, default=8, metavar="N", help="default: 8")
    add(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="default: local",
    )
    add("--ray-address", metavar="ADDR", help="host:port of a Ray cluster, for --executor ray")
    add("--fail-under", type=float, metavar="X", help="exit 1 if balanced accuracy is below X%%")
    return parser
