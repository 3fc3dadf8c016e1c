"""A benchmark run from its command line to its report."""

import argparse
import asyncio
import hashlib
import platform
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.exits import AgentError, Exit, UsageError
from agent.render import note
from agent_evals import config, report, serving, store, suite
from agent_evals.attempt import OnFixtures
from agent_evals.config import Configuration
from agent_evals.progress import Progress
from agent_evals.run import Plan, Runner
from agent_evals.score import Scores, score
from agent_evals.serving import Serving
from agent_evals.store import RESULTS, Store


def bench(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Run what is missing and print the report; 0, or 1 when `--fail-under` is not reached."""
    configurations = _configurations(options)
    chosen = suite.load(options.suite)
    cases = chosen.of(options.split)
    cases = tuple(suite.spread(cases, options.limit or len(cases)))
    task = OnFixtures(cases, chosen.fixtures)
    plan = Plan(task, configurations, options.epochs, options.concurrency)
    keys = plan.keys()
    folder = Path(options.out) if options.out else _default(chosen.name, keys)
    begun = time.monotonic()
    with Store(folder, fresh=options.fresh) as kept:
        _check(kept, keys)
        about = _about(options, chosen, len(cases), configurations, command, kept)
        _make(plan, keys, kept, about)
    seconds = time.monotonic() - begun
    return _report(folder, about, seconds, options.fail_under)


def _configurations(options: argparse.Namespace) -> list[Configuration]:
    if options.config is None:
        models = options.models or [options.model]
        return config.from_flags(models, options.base_url, options.adapter)
    if options.base_url or options.adapter:
        raise UsageError("--config says where each model is; leave out --base-url and --adapter.")
    return config.from_file(Path(options.config))


def _default(name: str, keys: Sequence[str]) -> Path:
    """A folder for exactly these results, so that the same command finds it again."""
    digest = hashlib.sha256("".join(sorted(keys)).encode()).hexdigest()
    return Path(".bench") / f"{name}-{digest[:10]}"


def _check(kept: Store, keys: Sequence[str]) -> None:
    """Refuse to mix the results of different commands."""
    others = kept.keys - set(keys)
    if others:
        raise UsageError(
            f"{kept.folder} already holds results of another run ({len(others)} of them are of "
            "other cases, configurations or an older agent); choose another --out, or start anew "
            "with --fresh."
        )


def _about(
    options: argparse.Namespace,
    chosen: suite.Suite,
    cases: int,
    configurations: Sequence[Configuration],
    command: Sequence[str],
    kept: Store,
) -> dict[str, Any]:
    """The manifest as the run begins; what earlier parts of it found out stays."""
    before = kept.manifest or {}
    known = {entry.get("name"): entry for entry in before.get("configurations", [])}
    return {
        "suite": chosen.name,
        "suite_sha256": chosen.sha256,
        "cases": cases,
        "split": options.split,
        "epochs": options.epochs,
        "concurrency": options.concurrency,
        "configurations": [known.get(c.name) or serving.described(c) for c in configurations],
        "command": shlex.join(command),
        "agent": version("agent"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "started": before.get("started") or _now(),
        "finished": before.get("finished"),
        "overhead_share": before.get("overhead_share"),
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _make(plan: Plan, keys: Sequence[str], kept: Store, about: dict[str, Any]) -> None:
    """Make the results that are missing, and complete the manifest."""
    kept.describe(about)
    there = len(kept.keys)
    if there == len(keys):
        note(f"All {there} results are in {kept.path} already; --fresh measures anew.")
        return
    if there:
        note(f"Going on: {there} of {len(keys)} results are in {kept.path}.")
    try:
        with ExitStack() as opened, Progress(len(keys), there) as progress:
            servings: list[Serving] = []
            try:
                for configuration in plan.configurations:
                    servings.append(serving.open_(configuration))
                    opened.callback(servings[-1].close)
                runner = Runner(plan, servings, kept, progress.show)
                asyncio.run(runner.run())
            finally:
                opened.close()
                _add_costs(about, servings)
    except AgentError as error:
        raise AgentError(f"{error} {_kept(kept, keys)}", error.subtype) from None
    except KeyboardInterrupt:
        note(f"agent: Interrupted. {_kept(kept, keys)}")
        raise
    about["overhead_share"] = round(runner.overhead, 4)
    about["finished"] = _now()
    kept.describe(about)


def _add_costs(about: dict[str, Any], servings: Sequence[Serving]) -> None:
    measured = {serving.configuration.name: serving.as_row() for serving in servings}
    about["configurations"] = [
        measured.get(entry["name"], entry) for entry in about["configurations"]
    ]


def _kept(kept: Store, keys: Sequence[str]) -> str:
    return (
        f"{len(kept.keys)} of {len(keys)} results are in {kept.path}; "
        "the same command goes on from there."
    )


def _report(folder: Path, about: dict[str, Any], seconds: float, least: float | None) -> int:
    """Print the report and keep it; the exit code."""
    texts: list[str] = []
    failed: list[str] = []
    for entry in about["configurations"]:
        scores, weights = _scores(folder, entry["name"])
        header = report.Header(
            entry["name"], weights, about["suite"], seconds, about["concurrency"]
        )
        texts.append(report.report(header, scores))
        if least is not None and not scores.balanced.value * 100 >= least:
            failed.append(entry["name"])
    text = "\n\n".join(texts)
    (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    share = about["overhead_share"]
    if share is not None:
        note(f"{share:.1%} of the time was the harness's own, the rest the endpoint's.")
    note(f"results: {folder / RESULTS}")
    for name in failed:
        note(f"agent: {name}: the balanced accuracy is below {least:g}%.")
    return Exit.ERROR if failed else Exit.OK


def _scores(folder: Path, name: str) -> tuple[Scores, str | None]:
    """The scores of a configuration, and the hash of the weights that answered."""
    rows = [row.slim() for row in store.rows(folder) if row.configuration == name]
    weights = next((row.weights for row in rows if row.weights), None)
    return score(rows), weights
