"""Going on with a long session against going on with a short one."""

import tempfile
from pathlib import Path

from agent.events import Result, ToolResult, ToolUse
from agent.journal import Journal
from agent_evals.speed.measure import Line, Options, interleaved
from agent_evals.speed.start import recording, until_request

TURNS = 2000
_FOUND = "src/basket.py:12: class Basket(Countable):\n" * 40


def lines(options: Options) -> list[Line]:
    """How much later `agent ask -c` asks in a session of 2,000 turns than in one of a turn."""
    with (
        recording() as server,
        tempfile.TemporaryDirectory() as long,
        tempfile.TemporaryDirectory() as short,
    ):
        fill(Path(long), TURNS)
        fill(Path(short), 1)
        ours, rival = interleaved(
            options.repeats,
            lambda: until_request(server, long, "-c"),
            lambda: until_request(server, short, "-c"),
        )
    what = f"a session of {TURNS} turns opened, beyond one of 1 turn"
    return [Line(what, ours - rival, 0.5, "s", "our aim", "<=", 1)]


def fill(directory: Path, turns: int) -> None:
    """Make a session of the codebase `directory`, kept below it as `until_request` keeps it."""
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    with Journal.create(directory, directory / "agent") as journal:
        for number in range(turns):
            question, call = f"Where is Basket number {number} defined?", f"call_{number}"
            journal.asked(question)
            journal.subscriber(ToolUse(call, "grep", {"pattern": "class Basket"}))
            journal.subscriber(ToolResult(call, "grep", "ok", _FOUND, 3))
            answer = "Basket is defined in src/basket.py, line 12. " * 4
            journal.turn(
                question,
                Result("success", answer, journal.session_id),
                [
                    ModelRequest(parts=[UserPromptPart(question)]),
                    ModelResponse(parts=[ToolCallPart("grep", {"pattern": "class Basket"}, call)]),
                    ModelRequest(parts=[ToolReturnPart("grep", _FOUND, call)]),
                    ModelResponse(parts=[TextPart(answer)]),
                ],
            )
