"""One run of the agent as it is followed, and what it came to."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent, AgentRunResultEvent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.toolsets import AbstractToolset

from agent import answer
from agent.events import Delta, Emit
from agent.guards import Guard


class Run:
    """`text` is the answer; `partial` what was written of it so far."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.text = ""
        self.partial = ""
        self.messages: list[ModelMessage] = []
        self.new_messages: list[ModelMessage] = []
        self.fingerprint: str | None = None
        self._usage: Any = None

    async def follow(
        self,
        agent: Agent[None, str],
        question: str,
        history: list[ModelMessage],
        capabilities: Sequence[AbstractCapability[None]],
        extras: AbstractToolset[None],
    ) -> None:
        """Ask the agent and tell of its text as it comes; raises what PydanticAI raises."""
        async with agent.run_stream_events(
            question,
            message_history=history or None,
            capabilities=capabilities,
            toolsets=[extras],
        ) as events:
            try:
                async for event in events:
                    if isinstance(event, PartStartEvent):
                        if event.index == 0:
                            self.partial = ""
                        if isinstance(event.part, TextPart):
                            self._write(event.part.content)
                    elif isinstance(event, PartDeltaEvent):
                        if isinstance(event.delta, TextPartDelta):
                            self._write(event.delta.content_delta)
                    elif isinstance(event, AgentRunResultEvent):
                        self.text = event.result.output
            finally:
                self.messages = events.all_messages()
                self.new_messages = events.new_messages()
                self._usage = events.usage
                self._read_fingerprint()

    def _write(self, text: str) -> None:
        self.partial += text
        if text:
            self.emit(Delta(text))

    def _read_fingerprint(self) -> None:
        details = getattr(self.last_response(), "provider_details", None) or {}
        self.fingerprint = details.get("fingerprint")

    def last_response(self) -> ModelResponse | None:
        """The model's last response, if it gave one."""
        responses = [m for m in self.messages if isinstance(m, ModelResponse)]
        return responses[-1] if responses else None

    def usage(self) -> dict[str, int]:
        """Tokens of the whole run."""
        used = self._usage
        return {
            "input_tokens": used.input_tokens if used else 0,
            "output_tokens": used.output_tokens if used else 0,
            "cached_tokens": used.cache_read_tokens if used else 0,
        }


def verdict(run: Run, guard: Guard) -> tuple[str, str]:
    """(subtype, sentence) of a run that ended with a text.

    A denial comes first: it is what the user can do something about.
    """
    broken = _broken(run, guard)
    if guard.denials:
        names = ", ".join(dict.fromkeys(denial["name"] for denial in guard.denials))
        return "denied", f"Not permitted: {names}. {guard.policy.remedy(guard.denials)}"
    return ("truncated", broken) if broken else ("success", "")


def _broken(run: Run, guard: Guard) -> str:
    """What is wrong with the text, which is cut where it begins to repeat itself."""
    end = answer.repetition(run.text)
    if end is not None:
        guard.interventions.append("repeated_text")
        run.text = run.text[:end]
        return "The model began to repeat itself; this is what came before."
    response = run.last_response()
    if response is not None and response.finish_reason == "length":
        return "The answer is cut off; raise max_tokens."
    return ""
