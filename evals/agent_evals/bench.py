"""A benchmark run from its command line to its report."""

import argparse
import asyncio
import hashlib
import platform
import shlex
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.exits import AgentError, Exit, UsageError
from agent.render import note
from agent_evals import config, controls, public, report, serving, store, suite
from agent_evals.attempt import OnFixtures
from agent_evals.config import Configuration
from agent_evals.executor import Executor, Local, Task
from agent_evals.progress import Progress
from agent_evals.public import outcomes
from agent_evals.public.cases import PublicSuite
from agent_evals.public.run import OnPublicSet
from agent_evals.run import Plan, Runner
from agent_evals.score import by_configuration
from agent_evals.store import RESULTS, Store


def bench(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Run what is missing and print the report; 0, or 1 when `--fail-under` is not reached."""
    configurations = _configurations(options)
    about, task = _task(options)
    executor = _executor(options, task)
    plan = Plan(task, configurations, options.epochs)
    keys = plan.keys()
    folder = Path(options.out) if options.out else _default(about["suite"], keys)
    with Store(folder, fresh=options.fresh) as kept:
        _check(kept, keys)
        about |= _about(options, configurations, command, kept)
        _make(plan, keys, kept, executor, about)
    return _report(folder, about, options.fail_under)


def _configurations(options: argparse.Namespace) -> list[Configuration]:
    if options.config is None:
        models = options.models or [options.model]
        return config.from_flags(models, options.base_url, options.adapter)
    if options.base_url or options.adapter:
        raise UsageError("--config says where each model is; leave out --base-url and --adapter.")
    return config.from_file(Path(options.config))


def _task(options: argparse.Namespace) -> tuple[dict[str, Any], Task]:
    """What the manifest says of the suite, and its cases as they are run."""
    chosen: suite.Suite | PublicSuite
    if public.is_public(options.suite):
        chosen = public.load(options.suite)
        for line in chosen.notes:
            note(line)
    else:
        chosen = suite.load(options.suite)
    about = {"suite": chosen.name, "suite_sha256": chosen.sha256, "split": options.split}
    if isinstance(chosen, suite.Suite):
        ours = suite.spread(chosen.of(options.split), options.limit)
        return {**about, "cases": len(ours)}, OnFixtures(ours, chosen.fixtures)
    theirs = suite.spread(chosen.of(options.split), options.limit)
    return {**about, "cases": len(theirs)}, OnPublicSet(theirs)


def _executor(options: argparse.Namespace, task: Task) -> Executor:
    if options.executor == "ray":
        from agent_evals.ray_executor import OnRay

        return OnRay(task, options.concurrency, options.ray_address)
    if options.ray_address is not None:
        raise UsageError("--ray-address needs --executor ray.")
    return Local(task, options.concurrency)


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
    configurations: Sequence[Configuration],
    command: Sequence[str],
    kept: Store,
) -> dict[str, Any]:
    """The manifest as the run begins; what earlier parts of it found out stays."""
    before = kept.manifest or {}
    known = {entry.get("name"): entry for entry in before.get("configurations", [])}
    return {
        "epochs": options.epochs,
        "concurrency": options.concurrency,
        "executor": options.executor,
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


def _make(
    plan: Plan, keys: Sequence[str], kept: Store, executor: Executor, about: dict[str, Any]
) -> None:
    """Make the results that are missing, and complete the manifest."""
    kept.describe(about)
    begun = len(kept.keys)
    if begun == len(keys):
        note(f"All {begun} results are in {kept.path} already; --fresh measures anew.")
        return
    if begun:
        note(f"Going on: {begun} of {len(keys)} results are in {kept.path}.")
    try:
        with Progress(len(keys), begun) as progress:
            runner = Runner(plan, kept, executor, progress.show)
            about["overhead_share"] = _run(runner, about)
        about["finished"] = _now()
        kept.describe(about)
    except (AgentError, KeyboardInterrupt) as error:
        again = "the same command without --fresh" if kept.fresh else "the same command"
        there = f"{len(kept.keys)} of {len(keys)} results are in {kept.path}"
        ending = f"{there}; {again} goes on from there."
        if isinstance(error, AgentError):
            raise AgentError(f"{error} {ending}", error.subtype) from None
        note(f"agent: Interrupted. {ending}")
        raise


def _run(runner: Runner, about: dict[str, Any]) -> float:
    """Serve every configuration as long as its cases run; the harness's share of the time."""
    try:
        runner.executor.open(runner.plan.configurations)
        asyncio.run(runner.run())
    finally:
        measured = {entry["name"]: entry for entry in runner.executor.close()}
        about["configurations"] = [
            measured.get(entry["name"], entry) for entry in about["configurations"]
        ]
    return round(runner.overhead, 4)


def _report(folder: Path, about: dict[str, Any], least: float | None) -> int:
    """Print the report and keep it; the exit code."""
    scores = by_configuration(store.rows(folder))
    others = controls.controls(store.rows(folder))
    text = report.report(about, scores, others, controls.missing())
    if about["suite"] == outcomes.SUITE:
        text += "\n\n" + outcomes.report(store.rows(folder))
    print(text)
    try:
        (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise AgentError(f"report.txt cannot be written: {error.strerror}.") from None
    share = about["overhead_share"]
    if share is not None:
        note(f"{share:.1%} of the time was the harness's own, the rest the endpoint's.")
    note(f"results: {folder / RESULTS}")
    failed = [
        name
        for name, one in scores.items()
        if least is not None and not one.balanced.value * 100 >= least
    ]
    for name in failed:
        note(f"agent: {name}: the balanced accuracy is below {least:g}%.")
    return Exit.ERROR if failed else Exit.OK
