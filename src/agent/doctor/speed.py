"""What the endpoint remembers of a prompt, and how fast it reads and writes."""

import secrets

from agent.doctor.finding import Finding, ok, problem, warning
from agent.doctor.probe import Message, Probe
from agent.doctor.reply import Reply
from agent.doctor.window import filler

_SLOW_READING = 100.0
_SLOW_WRITING = 5.0
_FEW = 8  # tokens from which on writing can be timed
_FASTER = "Use a smaller or quantized model, or a machine with a GPU."


def prompt_cache(probe: Probe) -> Finding:
    """Whether a conversation that grows, as in every run with tools, is not read anew each time."""
    name = "prompt cache"
    question: list[Message] = [{"role": "user", "content": _fresh(300)}]
    call = {"id": "call_1", "type": "function", "function": {"name": "grep", "arguments": "{}"}}
    grown = [
        *question,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "No matches."},
    ]
    first = probe.ask(question, max_tokens=1)
    second = probe.ask(grown, max_tokens=1)
    for answer in (first, second):
        if answer.failure:
            return problem(name, f"A long prompt {answer.failure}.", "Look at the server's log.")
    if second.cached_tokens is None:
        return _by_time(name, first, second)
    if second.cached_tokens >= (first.prompt_tokens or 1) / 2:
        return ok(name, f"{second.cached_tokens} of {second.prompt_tokens} tokens were reused.")
    return warning(
        name,
        f"{second.cached_tokens} of {second.prompt_tokens} tokens were reused of a conversation "
        f"whose first {first.prompt_tokens or 'many'} had just been read.",
        "Turn the server's prompt cache on: without it every tool call costs a whole reading.",
    )


def _by_time(name: str, first: Reply, second: Reply) -> Finding:
    times = f"{first.first:.2f} s to the first token, {second.first:.2f} s when it was repeated"
    if second.first < first.first / 2:
        return ok(name, f"{times}; the server does not count cached tokens.")
    return warning(
        name,
        f"No sign of one: {times}, and the server does not count cached tokens.",
        "Turn the server's prompt cache on (llama.cpp: cache_prompt; vLLM: prefix caching).",
    )


def speed(probe: Probe) -> Finding:
    """Tokens per second of reading a prompt nobody has seen, and of writing an answer."""
    name = "speed"
    long = probe.ask(_fresh(400), max_tokens=1)
    short = probe.ask("Explain what a class is, in detail.", max_tokens=64)
    for answer in (long, short):
        if answer.failure:
            return problem(name, f"A question {answer.failure}.", "Look at the server's log.")
    reading, writing = _reading(long), _writing(short)
    shown = ", ".join(
        f"{what} {rate:,.0f} tokens/s" if rate else f"{what} could not be timed"
        for what, rate in (("reading", reading), ("writing", writing))
    )
    if (reading and reading < _SLOW_READING) or (writing and writing < _SLOW_WRITING):
        return warning(name, f"Slow: {shown}.", _FASTER)
    if not reading and not writing:
        return warning(name, f"{shown}.", "Prefer a server that streams and reports usage.")
    return ok(name, f"{shown}.")


def _reading(answer: Reply) -> float | None:
    read = (answer.prompt_tokens or 0) - (answer.cached_tokens or 0)
    return read / answer.first if read > 0 and answer.first else None


def _writing(answer: Reply) -> float | None:
    written, took = answer.completion_tokens or 0, answer.seconds - answer.first
    return (written - 1) / took if written >= _FEW and took > 0 else None


def _fresh(words: int) -> str:
    """A prompt that is in nobody's cache."""
    return f"{secrets.token_hex(4)} {filler(words)}. What is a river?"
