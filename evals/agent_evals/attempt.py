"""One try at a case of ours: the real agent in a fresh copy of the case's fixture."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.transport import Stopwatch
from agent_evals.config import Configuration
from agent_evals.fixtures import fixture_hash, fresh_copy
from agent_evals.judge import judge
from agent_evals.store import Row, row
from agent_evals.suite import Case, as_row
from agent_evals.transcript import Recorder


@dataclass(frozen=True)
class OnFixtures:
    """Cases of ours, as `run.Runner` takes them."""

    cases: Sequence[Case]
    fixtures: Path

    def digest(self, case: Case) -> tuple[str, str]:
        """The hash of the case's content and that of its fixture's."""
        content = hashlib.sha256(case.model_dump_json().encode()).hexdigest()
        return content, _hash(self.fixtures / case.fixture)

    async def attempt(self, case: Case, configuration: Configuration, endpoint: Endpoint) -> Row:
        """Run the case and judge it."""
        begun = time.perf_counter()
        stopwatch = Stopwatch()
        fixture = self.fixtures / case.fixture
        recorder = Recorder(case.offered)
        settings = configuration.settings()
        if case.offered is not None:
            settings = replace(settings, allowed_tools=tuple(case.offered))
        with fresh_copy(fixture) as root:
            assistant = Assistant(settings, endpoint, root, recorder, stopwatch=stopwatch)
            try:
                result = await assistant.ask(case.question)
            finally:
                await assistant.aclose()
            transcript = recorder.transcript(result, assistant.workspace.root)
            verdict = judge(case, transcript, fixture, root)
        overhead = time.perf_counter() - begun - stopwatch.waited
        return row(
            {
                **as_row(case),
                **transcript.as_row(),
                "verdict": verdict,
                "first_token_seconds": stopwatch.first_byte,
                "overhead_seconds": max(0.0, overhead),
            }
        )


@cache
def _hash(fixture: Path) -> str:
    return fixture_hash(fixture)
