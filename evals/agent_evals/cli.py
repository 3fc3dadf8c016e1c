"""`agent bench`: measure a model on a suite; `agent bench speed`: measure ourselves."""

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from agent import connect
from agent.exits import BY_SUBTYPE, AgentError, Exit, UsageError
from agent.render import note
from agent.settings import Settings
from agent_evals import report, suite
from agent_evals.run import Runner, Scored
from agent_evals.score import score

# Each in a module of its own with `main(argv) -> int`, imported when called.
_SUBCOMMANDS = {
    "speed": "agent_evals.speed",
    "compare": "agent_evals.compare",
    "report": "agent_evals.page",
    "show": "agent_evals.show",
    "validate": "agent_evals.validate",
}

# Seconds of silence: on a busy machine slowness must not count as a wrong answer.
_PATIENCE = 3600.0


def main(argv: Sequence[str]) -> int:
    """Run `agent bench ARGV`; returns the exit code (see `agent.exits`)."""
    try:
        if argv and argv[0] in _SUBCOMMANDS:
            return _subcommand(argv[0])(argv[1:])
        return bench(_parser().parse_args(argv))
    except AgentError as error:
        note(f"agent: {error}")
        return BY_SUBTYPE[error.subtype]


def _subcommand(name: str) -> Callable[[Sequence[str]], int]:
    module = _SUBCOMMANDS[name]
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"This installation of agent does not have `agent bench {name}`.")
    main: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    return main


def bench(options: argparse.Namespace) -> int:
    """Run the suite and print the report; 0, or 1 when `--fail-under` is not reached."""
    chosen = suite.load(options.suite)
    cases = suite.spread(chosen.cases, options.limit or len(chosen.cases))
    settings = _settings(options)
    out = _folder(options.out, chosen.name)
    begun = time.monotonic()
    endpoint = connect.connect(settings)
    try:
        _write_manifest(out, options, chosen, len(cases), endpoint)
        results, weights = _run(cases, settings, endpoint, chosen, out, options.concurrency)
    finally:
        endpoint.close()
    seconds = time.monotonic() - begun
    header = report.Header(endpoint.model, weights, chosen.name, seconds, options.concurrency)
    scores = score(results)
    text = report.report(header, scores)
    (out / "report.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    note(f"results: {out / 'results.jsonl'}")
    least = options.fail_under
    if least is not None and not scores.balanced.value * 100 >= least:
        note(f"agent: the balanced accuracy is below {least:g}%.")
        return Exit.ERROR
    return Exit.OK


def _run(
    cases: Sequence[suite.Case],
    settings: Settings,
    endpoint: connect.Endpoint,
    chosen: suite.Suite,
    out: Path,
    concurrency: int,
) -> tuple[list[Scored], str | None]:
    """The finished cases, and the hash of the weights that answered them."""
    results: list[Scored] = []
    progress = Progress(len(cases), sys.stderr)

    def done(result: Scored) -> None:
        results.append(result)
        progress.show(results)

    with (out / "results.jsonl").open("x", encoding="utf-8") as file:
        runner = Runner(settings, endpoint, chosen.fixtures, file, done)
        try:
            asyncio.run(runner.run(cases, concurrency))
        except AgentError as error:
            raise AgentError(f"{error} {_kept(results, cases, out)}", error.subtype) from None
        except KeyboardInterrupt:
            note(f"agent: Interrupted. {_kept(results, cases, out)}")
            raise
    return results, runner.weights


def _kept(results: Sequence[Scored], cases: Sequence[suite.Case], out: Path) -> str:
    return f"{len(results)} of {len(cases)} results are in {out / 'results.jsonl'}."


def _settings(options: argparse.Namespace) -> Settings:
    """The product's defaults, whatever the user's own settings are, so that runs compare."""
    return replace(
        Settings(),
        model=options.model,
        base_url=options.base_url,
        adapter=options.adapter,
        api_key=os.environ.get("AGENT_API_KEY") or None,
        permission_mode="accept-edits",
        keep_alive=0.0,
        timeout=_PATIENCE,
    )


def _folder(given: str | None, name: str) -> Path:
    """The folder of this run's results, made if need be.

    Raises:
        UsageError: it holds results already, or cannot be made.
    """
    out = Path(given or f".bench/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    if (out / "results.jsonl").exists():
        raise UsageError(f"{out} already holds results; choose another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {str(out)!r} cannot be made: {error.strerror}.") from None
    return out


def _write_manifest(
    out: Path,
    options: argparse.Namespace,
    chosen: suite.Suite,
    cases: int,
    endpoint: connect.Endpoint,
) -> None:
    manifest = {
        "suite": chosen.name,
        "suite_sha256": chosen.sha256,
        "cases": cases,
        "model": endpoint.model,
        "asked_for": {
            "model": options.model,
            "base_url": options.base_url,
            "adapter": options.adapter,
        },
        "concurrency": options.concurrency,
        "agent": version("agent"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


class Progress:
    """A running score on standard error: one live line on a terminal, else one every 50 cases."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total = total
        self._out = out
        self._live = out.isatty()

    def show(self, results: Sequence[Scored]) -> None:
        """Tell how far the run is."""
        done = len(results)
        if not self._live and done % 50 and done != self._total:
            return
        value = score(results).balanced.value
        running = "" if value != value else f", balanced accuracy {value:.1%}"
        end = "\n" if done == self._total or not self._live else ""
        start = "\r\x1b[K" if self._live else ""
        print(f"{start}{done}/{self._total} cases{running}", end=end, file=self._out, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench",
        description="Measure whether a model knows when to call a tool, and calls the right one.",
        epilog="`agent bench speed` measures ourselves against named rivals instead.",
        allow_abbrev=False,
    )
    parser.add_argument("--suite", default="embedded", help="a suite's name or file")
    parser.add_argument("-m", "--model", help="folder, Hub id, or name at --base-url")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint; key in AGENT_API_KEY")
    parser.add_argument("--adapter", help="LoRA adapter for --model")
    parser.add_argument("--out", help="folder for the results; default: one below .bench")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only N cases, both kinds")
    parser.add_argument("--concurrency", type=_positive, default=8, metavar="N", help="default: 8")
    parser.add_argument(
        "--fail-under", type=float, metavar="X", help="exit 1 if balanced accuracy is below X%%"
    )
    return parser
