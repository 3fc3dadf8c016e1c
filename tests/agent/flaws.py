"""What servers and small models do wrong: each turns the right answer into a wrong one."""

import dataclasses
from collections.abc import Callable

from tests.agent import pretending
from tests.agent.pretending import ANSWER, Body, Flaw, Said


def right(body: Body, said: Said) -> Said:
    return said


def stopped(body: Body) -> bool:
    return bool(body.get("stop")) and body["stop"][0] in ANSWER


def ignores_stops(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text=ANSWER) if stopped(body) else said


def deletes_stops(body: Body, said: Said) -> Said:
    text = ANSWER.replace(body["stop"][0], "") if stopped(body) else said.text
    return dataclasses.replace(said, text=text)


def keeps_stops(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text=said.text + body["stop"][0]) if stopped(body) else said


def leaks_half_a_stop(body: Body, said: Said) -> Said:
    text = said.text + body["stop"][0][:2] if stopped(body) else said.text
    return dataclasses.replace(said, text=text)


def answers_differently(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text="Something else.") if stopped(body) else said


def goes_on_after_the_turn(body: Body, said: Said) -> Said:
    if said.calls or body["max_tokens"] < 100:
        return said
    return dataclasses.replace(said, text=said.text + "<|im_end|>\n<|im_start|>user\nThanks!")


def ends_at_our_stop_texts_only(body: Body, said: Said) -> Said:
    return said if body.get("stop") else goes_on_after_the_turn(body, said)


def never_comes_to_an_end(body: Body, said: Said) -> Said:
    runs_on = body["max_tokens"] == 160 and "tools" not in body
    return dataclasses.replace(said, finish="length") if runs_on else said


def ignores_max_tokens(body: Body, said: Said) -> Said:
    if body["max_tokens"] > 2:
        return said
    return dataclasses.replace(said, text=ANSWER * 3, usage={**said.usage, "completion_tokens": 50})


def hides_the_limit(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, finish="stop") if said.finish == "length" else said


# Tool calls


def instead_of_calls(make: Callable[[], Said]) -> Flaw:
    def flaw(body: Body, said: Said) -> Said:
        chosen = "tool_choice" in body
        return dataclasses.replace(make(), usage=said.usage) if said.calls and not chosen else said

    return flaw


HERMES = '<tool_call>\n{"name": "grep", "arguments": {"pattern": "Basket"}}\n</tool_call>'
calls_as_text = instead_of_calls(lambda: Said(HERMES))
calls_as_bare_json = instead_of_calls(lambda: Said('{"name": "grep", "arguments": {}}'))
drops_calls = instead_of_calls(lambda: Said(finish="tool_calls"))
malformed_arguments = instead_of_calls(lambda: pretending.raw_calling("grep", '{"pattern": "Ba'))
arguments_no_object = instead_of_calls(lambda: pretending.raw_calling("grep", '"Basket"'))
argument_missing = instead_of_calls(lambda: pretending.calling("grep", glob="*.py"))
unknown_tool = instead_of_calls(lambda: pretending.calling("search", pattern="Basket"))
never_looks = instead_of_calls(lambda: Said(ANSWER))


def says_stop_after_a_call(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, finish="stop") if said.calls else said


def breaks_streamed_calls(body: Body, said: Said) -> Said:
    return malformed_arguments(body, said) if body.get("stream") else said


def forgets_tool_results(body: Body, said: Said) -> Said:
    last = body["messages"][-1]["role"]
    return dataclasses.replace(said, text=ANSWER) if last == "tool" else said


def silent_after_tool_results(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text="") if said.text == pretending.FOUND else said


def ignores_tool_choice(body: Body, said: Said) -> Said:
    if "tool_choice" not in body:
        return said
    general = "Where" not in body["messages"][-1]["content"]
    other = Said(ANSWER) if general else pretending.calling("grep", pattern="Basket")
    return dataclasses.replace(other, usage=said.usage)


def forbids_the_end(body: Body, said: Said) -> Said:
    """As llama.cpp does: the answer may not end before a call, and so goes on."""
    required = body.get("tool_choice") == "required"
    return Said(ANSWER * 3, finish="length", usage=said.usage) if required else said


def does_not_parse_unwanted_calls(body: Body, said: Said) -> Said:
    unwanted = body.get("tool_choice") == "none"
    text = '<tool_call>{"name": "grep", "arguments": {"pattern": "Basket"}}</tool_call>'
    return Said(text, usage=said.usage) if unwanted else said


# Counts, cache and identity


def cuts_prompts(body: Body, said: Said) -> Said:
    usage = {**said.usage, "prompt_tokens": min(said.usage["prompt_tokens"], 512)}
    return dataclasses.replace(said, usage=usage)


def counts_nothing(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, usage=None)


def caches_nothing(body: Body, said: Said) -> Said:
    usage = {**said.usage, "prompt_tokens_details": {"cached_tokens": 0}}
    return dataclasses.replace(said, usage=usage)


def other_weights(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, weights="sha256:" + "b" * 64)


def nameless_weights(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, weights=None)
