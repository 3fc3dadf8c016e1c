"""Where an answer ends: stop texts, the end of the turn, the limit of tokens."""

import asyncio
import contextlib
import json
import re

from agent.answer import clean, plain
from agent.doctor.finding import Finding, ok, problem, warning
from agent.doctor.probe import Probe
from agent.doctor.reply import Reply

_QUESTION = "What is a unit test?"
_QUESTIONS = (_QUESTION, "Thank you!")
_OWN_SERVER = "Serve the model with `agent serve`, which looks at the text, not at tokens."
_TWO_WORDS = re.compile(r"[A-Za-z]{3,} [A-Za-z]{3,}")
_MOST_STOPS = 4


def stop_sent(probe: Probe) -> Finding:
    """Whether our own client puts the stop texts on the wire (PydanticAI drops unknown keys)."""
    name, wanted = "stop texts sent", list(probe.settings.stop)
    sent = asyncio.run(_body(probe)).get("stop")
    if sent != wanted and wanted:
        return problem(
            name, f"{sent!r} was sent, not {wanted!r}.", "Install agent anew: its client is broken."
        )
    if len(wanted) > _MOST_STOPS:
        return warning(
            name,
            f"{len(wanted)} stop texts are set; many servers take at most {_MOST_STOPS}.",
            "Shorten the setting stop.",
        )
    return ok(name, f"{len(wanted)} texts: {' '.join(wanted) or 'none is set'}")


async def _body(probe: Probe) -> dict[str, object]:
    """The body of one request of the assistant's own model, which no server sees."""
    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai.direct import model_request
    from pydantic_ai.exceptions import ModelAPIError
    from pydantic_ai.messages import ModelRequest
    from pydantic_ai.providers.openai import OpenAIProvider

    from agent import model

    bodies: list[bytes] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        return httpx2.Response(400, json={})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(keep))
    client = AsyncOpenAI(base_url="http://nowhere/v1", api_key="none", http_client=http)
    ours = model.LocalModel(
        "any",
        provider=OpenAIProvider(openai_client=client),
        profile=model.PROFILE,
        settings=model.model_settings(probe.settings),
    )
    with contextlib.suppress(ModelAPIError):
        await model_request(ours, [ModelRequest.user_text_prompt("hello")])
    await http.aclose()
    body: dict[str, object] = json.loads(bodies[0])
    return body


def stop_honoured(probe: Probe) -> Finding:
    """Whether an answer ends at a stop text that begins and ends in the middle of tokens."""
    name = "stop texts honoured"
    whole = probe.ask(_QUESTION, max_tokens=80)
    if whole.failure:
        return problem(name, f"A question {whole.failure}.", "Look at the server's log.")
    stop = _across_words(whole.text)
    if stop is None:
        return warning(
            name,
            "The answer is too short to try a stop text in.",
            "Try with a model that answers in sentences.",
        )
    stopped = probe.ask(_QUESTION, max_tokens=80, stop=[stop])
    return _judged(name, stop, whole.text, stopped)


def _across_words(text: str) -> str | None:
    """From within one word to within the next, so that no token begins or ends there."""
    for words in _TWO_WORDS.finditer(text, 12):
        first, second = words[0].split()
        stop = f"{first[-2:]} {second[:2]}"
        if text.find(stop) == words.start() + len(first) - 2:
            return stop
    return None


def _judged(name: str, stop: str, whole: str, stopped: Reply) -> Finding:
    before, text, shown = whole[: whole.find(stop)], stopped.text, json.dumps(stop)
    if stopped.failure:
        return problem(name, f"A request with stop {shown} {stopped.failure}.", _OWN_SERVER)
    if text == before + stop:
        return warning(
            name, f"The stop text {shown} ends the answer but is left at its end.", _OWN_SERVER
        )
    if stop in text:
        return problem(
            name, f"The stop text {shown} is ignored: the answer goes on after it.", _OWN_SERVER
        )
    if text.rstrip() == before.rstrip():
        return ok(name, f"An answer ends exactly before {shown}, which crosses tokens.")
    if text.startswith(before) and stop.startswith(text[len(before) :]):
        return warning(name, f"A part of the stop text {shown} is left in the answer.", _OWN_SERVER)
    if text.startswith(before):
        return problem(
            name, f"The stop text {shown} is deleted and the answer goes on after it.", _OWN_SERVER
        )
    return warning(
        name,
        f"With stop {shown} the answer became another one, so this cannot be told.",
        "Use a server that answers alike twice at temperature 0; run `agent doctor` again.",
    )


def end_of_turn(probe: Probe) -> Finding:
    """Whether answers end where the turn ends, without our stop texts' help."""
    name = "end of turn"
    answers = [probe.ask(question, max_tokens=160) for question in _QUESTIONS]
    for question, answer in zip(_QUESTIONS, answers, strict=True):
        if answer.failure:
            return problem(name, f"A question {answer.failure}.", "Look at the server's log.")
        if left := _leftover(answer.text):
            stops = list(probe.settings.stop)[:_MOST_STOPS]
            stopped = probe.ask(question, max_tokens=160, stop=stops)
            return _leaks(name, left, stopped)
    if all(answer.finish == "length" for answer in answers):
        return warning(
            name,
            "No answer came to an end within 160 tokens.",
            "If answers run on, add the template's end-of-turn token to eos_token_id in the "
            "model's generation_config.json, or to the setting stop.",
        )
    return ok(name, "Answers end without markers of the chat template.")


def _leftover(text: str) -> str:
    """What of the answer the assistant would have to clean away."""
    said, kept = plain(text).rstrip(), clean(text).rstrip()
    if said == kept:
        return ""
    at = len(kept) if said.startswith(kept) else 0
    return said[at:].strip()[:40]


def _leaks(name: str, left: str, stopped: Reply) -> Finding:
    marker = json.dumps(left, ensure_ascii=False)
    if not stopped.failure and not _leftover(stopped.text):
        return warning(
            name,
            f"Left to itself the server writes {marker} into an answer; our stop texts catch it.",
            "Add that token to eos_token_id in the model's generation_config.json.",
        )
    return problem(
        name,
        f"An answer contains {marker}: the server does not know the end of the turn.",
        "Add that token to eos_token_id in generation_config.json, and to the setting stop.",
    )


def length_limit(probe: Probe) -> Finding:
    """Whether max_tokens is kept, and said to be the reason."""
    name, limit = "length limit", 2
    answer = probe.ask("Count from 1 to 50.", max_tokens=limit)
    used = answer.completion_tokens
    if answer.failure:
        return problem(name, f"A short question {answer.failure}.", "Look at the server's log.")
    if (used or 0) > limit + 1 or len(answer.text) > 40 * limit:
        return problem(
            name,
            f"max_tokens {limit} is ignored.",
            "Use another server: an answer that repeats itself would never end.",
        )
    if used is not None and used >= limit and answer.finish != "length":
        return warning(
            name,
            f"An answer cut at {limit} tokens ends with {answer.finish!r}, not 'length'.",
            "Raise max_tokens: cut answers cannot be told from whole ones here.",
        )
    return ok(name, "max_tokens is kept and told.")
