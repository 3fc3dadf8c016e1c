"""Run the cases: each in a fresh copy of its fixture, several at once, through the real agent."""

import asyncio
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.exits import AgentError
from agent.settings import Settings
from agent_evals.judge import Verdict, judge
from agent_evals.suite import Case, as_row
from agent_evals.transcript import Recorder, Transcript

_PATIENCE = 10.0


@dataclass(frozen=True)
class Scored:
    """A finished case: what the scores are made of."""

    id: str
    label: str
    subtype: str
    pair: str | None
    verdict: Verdict
    ended: str
    interventions: tuple[str, ...]
    seconds: float
    tokens: int


@dataclass
class Runner:
    """Runs cases against one endpoint; every finished one is a line in `out` at once.

    `weights` is the hash the endpoint reports; when it changes, the run stops.
    """

    settings: Settings
    endpoint: Endpoint
    fixtures: Path
    out: TextIO
    done: Callable[[Scored], None]
    weights: str | None = None

    async def run(self, cases: Iterable[Case], concurrency: int) -> None:
        """Run all cases, `concurrency` at a time.

        Raises:
            AgentError: the endpoint is gone or serves other weights than before. What was finished
                is in the file.
        """
        waiting = iter(cases)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(self._work(waiting))
        except* AgentError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, waiting: Iterator[Case]) -> None:
        for case in waiting:
            with tempfile.TemporaryDirectory(prefix="agent-bench-") as scratch:
                root = Path(scratch).resolve() / case.fixture
                shutil.copytree(self.fixtures / case.fixture, root, symlinks=True)
                transcript = await self._ask(case, root)
                await self._check(case, transcript)
                verdict = judge(case, transcript, self.fixtures / case.fixture, root)
            self._write({**as_row(case), **transcript.as_row(), "verdict": verdict.as_row()})
            self.done(_scored(case, transcript, verdict))

    async def _ask(self, case: Case, root: Path) -> Transcript:
        recorder = Recorder()
        assistant = Assistant(self.settings, self.endpoint, root, recorder)
        try:
            result = await assistant.ask(case.question)
        finally:
            await assistant.aclose()
        return recorder.transcript(result, assistant.workspace.root)

    async def _check(self, case: Case, run: Transcript) -> None:
        """A dead endpoint is no result of the model's; nor is a run that we broke off ourselves."""
        if run.ended == "interrupted":
            raise asyncio.CancelledError
        if run.ended == "unavailable" and not await asyncio.to_thread(_answers, self.endpoint):
            raise AgentError(f"Stopped at {case.id}: {run.message}", "unavailable")
        reported = run.model.get("hash")
        self.weights = self.weights or reported
        if reported not in (None, self.weights):
            raise AgentError(
                f"Stopped at {case.id}: the endpoint answered with the weights {reported}, "
                f"but began with {self.weights}."
            )

    def _write(self, row: dict[str, Any]) -> None:
        self.out.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.out.flush()


def _scored(case: Case, run: Transcript, verdict: Verdict) -> Scored:
    tokens = run.usage.get("output_tokens", 0)
    return Scored(
        case.id,
        case.label,
        case.subtype,
        case.pair,
        verdict,
        run.ended,
        run.interventions,
        run.seconds,
        tokens,
    )


def _answers(endpoint: Endpoint) -> bool:
    """Whether anything answers there, be it with an error."""
    request = urllib.request.Request(
        f"{endpoint.base_url}/models", headers={"Authorization": f"Bearer {endpoint.api_key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
