"""`agent doctor` against servers with one flaw each, ours, and other people's."""

import dataclasses
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from agent.doctor.finding import Finding
from tests.agent import flaws, pretending
from tests.agent.flaws import right
from tests.agent.pretending import Body, Flaw, Passed, Said, findings
from tests.scripted_endpoint import Behaviour, Handler, cut, hang, html, status


def of_flaw(flaw: Flaw, behaviour: Behaviour | None = None, **more: Any) -> dict[str, Finding]:
    with pretending.endpoint(flaw, behaviour, more.pop("page", None)) as server:
        return findings(server.base_url, **more)


def bad(found: dict[str, Finding]) -> dict[str, str]:
    return {name: f.status for name, f in found.items() if f.status != "ok"}


def test_a_server_without_flaw_passes_every_check() -> None:
    found = of_flaw(right)
    assert bad(found) == {}
    assert len(found) == 16


BOTH = {"tool calls": "problem", "tool calls, streamed": "problem"}
CHOICES = dict.fromkeys(
    ("tool_choice none", "tool_choice required", "tool_choice named"), "warning"
)


@pytest.mark.parametrize(
    ("flaw", "expected", "words"),
    [
        (flaws.ignores_stops, {"stop texts honoured": "problem"}, "is ignored"),
        (flaws.deletes_stops, {"stop texts honoured": "problem"}, "deleted and the answer goes on"),
        (flaws.keeps_stops, {"stop texts honoured": "warning"}, "left at its end"),
        (flaws.leaks_half_a_stop, {"stop texts honoured": "warning"}, "part of the stop text"),
        (flaws.answers_differently, {"stop texts honoured": "warning"}, "cannot be told"),
        (flaws.goes_on_after_the_turn, {"end of turn": "problem"}, "<|im_end|>"),
        (flaws.ends_at_our_stop_texts_only, {"end of turn": "warning"}, "our stop texts catch it"),
        (flaws.never_comes_to_an_end, {"end of turn": "warning"}, "came to an end"),
        (flaws.ignores_max_tokens, {"length limit": "problem"}, "is ignored"),
        (flaws.hides_the_limit, {"length limit": "warning"}, "not 'length'"),
        (flaws.calls_as_text, BOTH, "came as text"),
        (flaws.calls_as_bare_json, BOTH, "came as text"),
        (flaws.drops_calls, BOTH, "dropped a call"),
        (flaws.malformed_arguments, BOTH, "not JSON"),
        (flaws.arguments_no_object, BOTH, "no object"),
        (flaws.argument_missing, BOTH, "without pattern"),
        (flaws.unknown_tool, BOTH, "not there: 'search'"),
        (flaws.breaks_streamed_calls, {"tool calls, streamed": "problem"}, "not JSON"),
        (flaws.never_looks, dict.fromkeys(BOTH, "warning"), "without looking"),
        (flaws.says_stop_after_a_call, dict.fromkeys(BOTH, "warning"), "finish_reason is 'stop'"),
        (flaws.forgets_tool_results, {"tool results": "warning"}, "does not use"),
        (flaws.silent_after_tool_results, {"tool results": "problem"}, "empty"),
        (flaws.ignores_tool_choice, CHOICES, "ignores it silently"),
        (flaws.forbids_the_end, {"tool_choice required": "warning"}, "did not end"),
        (flaws.does_not_parse_unwanted_calls, {"tool_choice none": "warning"}, "came as text"),
        (flaws.cuts_prompts, {"context window": "problem"}, "cuts silently"),
        (flaws.caches_nothing, {"prompt cache": "warning"}, "0 of"),
        (flaws.other_weights, {"weights": "problem"}, "b" * 64),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_flaw_is_named(flaw: Flaw, expected: dict[str, str], words: str) -> None:
    found = of_flaw(flaw)
    assert bad(found) == expected
    for name in expected:
        assert words in found[name].finding


def test_without_counts_what_cannot_be_told_is_said() -> None:
    found = of_flaw(flaws.counts_nothing)
    assert "does not count" in found["context window"].finding
    assert "does not count cached tokens" in found["prompt cache"].finding
    assert "could not be timed" in found["speed"].finding


def test_a_server_that_names_no_weights() -> None:
    found = of_flaw(flaws.nameless_weights, page={"weights": None})
    assert bad(found) == {"weights": "warning"}


def test_the_server_of_mlx_lm_is_warned_of_for_adapters() -> None:
    def named(body: Body, said: Said) -> Said:
        return dataclasses.replace(said, weights="0.32.2-0.32.4-Linux-x86_64-cpu")

    found = of_flaw(named, page={"weights": None})
    assert "default_model" in found["weights"].finding


# The context window


def test_no_claimed_window_is_measured_as_far_as_is_cheap() -> None:
    found = of_flaw(right, page={"context_window": None})["context window"]
    assert found.status == "warning"
    assert "nobody says" in found.finding
    assert "Set context_window" in found.advice


def test_a_window_larger_than_was_tried_is_said_to_be() -> None:
    def large(handler: Handler) -> None:
        body = json.loads(handler.server.bodies[-1])
        if len(pretending.words(body)) <= pretending.WINDOW:
            raise Passed
        handler.server.bodies[-1] = json.dumps({**body, "messages": [USER]}).encode()
        usage = {"prompt_tokens": len(pretending.words(body)), "completion_tokens": 1}
        pretending._streamed(handler, Said("x", usage=usage))

    found = of_flaw(right, large, page={"context_window": 100_000})["context window"]
    assert found.status == "ok"
    assert "more was not tried" in found.finding


USER = {"role": "user", "content": "x"}


def test_a_window_smaller_than_claimed() -> None:
    found = of_flaw(right, page={"context_window": 6000})["context window"]
    assert found.status == "problem"
    assert "says 6000" in found.finding


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def beyond(answer: Callable[[Handler, int], None]) -> Behaviour:
    """Prompts that are too long are answered so."""

    def behave(handler: Handler) -> None:
        size = len(pretending.words(json.loads(handler.server.bodies[-1])))
        if size <= pretending.WINDOW:
            raise Passed
        answer(handler, size)

    return behave


def test_a_prompt_beyond_the_window_that_is_accepted() -> None:
    def accept(handler: Handler, size: int) -> None:
        usage = {"prompt_tokens": size, "completion_tokens": 1}
        pretending._streamed(handler, Said("x", usage=usage))

    found = of_flaw(right, beyond(accept))
    assert bad(found) == {"context window": "problem"}
    assert "context_window = 2048" in found["context window"].advice
    assert bad(of_flaw(right, beyond(accept), context_window=2048)) == {}


def test_a_prompt_beyond_the_window_that_breaks_the_server() -> None:
    found = of_flaw(right, beyond(lambda handler, size: hang_up(handler)))
    assert bad(found) == {"context window": "problem"}
    assert "closes the connection" in found["context window"].finding


# Requests that are refused or broken off


def with_key(key: str, answer: Behaviour) -> Behaviour:
    """Requests that have this key are answered so."""

    def behave(handler: Handler) -> None:
        if key not in json.loads(handler.server.bodies[-1]):
            raise Passed
        answer(handler)

    return behave


def test_tool_choice_refused_is_a_warning_and_a_crash_a_problem() -> None:
    refused = of_flaw(right, with_key("tool_choice", status(400, "tool_choice is not supported")))
    assert bad(refused) == CHOICES
    assert "tool_choice is not supported" in refused["tool_choice none"].finding
    crashed = of_flaw(right, with_key("tool_choice", status(500, "oops")))
    assert bad(crashed) == dict.fromkeys(CHOICES, "problem")


def test_a_server_that_breaks_off_when_there_are_tools() -> None:
    found = of_flaw(right, with_key("tools", cut("Let me")))
    assert {"tool calls", "tool calls, streamed", "tool results"} <= set(bad(found))


def test_a_server_that_refuses_stop_texts() -> None:
    found = of_flaw(right, with_key("stop", status(400, "at most 0 stops")))
    assert bad(found) == {"stop texts honoured": "problem"}


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (html(), "no chat completion"),
        (status(500, "out of memory"), "answers 500: out of memory"),
        (status(401), "refused"),
        (status(404, "no such model"), "no such model"),
        (cut("Hel"), "breaks off"),
        (lambda handler: hang_up(handler), "closes the connection"),
        (lambda handler: pretending._streamed(handler, Said("")), "empty"),
    ],
)
def test_where_no_question_is_answered_nothing_else_is_asked(
    behaviour: Behaviour, words: str
) -> None:
    with pretending.endpoint(behaviour=behaviour) as server:
        found = findings(server.base_url)
        assert len(server.requests) == 1
    assert list(found) == ["endpoint", "chat", "not checked"]
    assert found["chat"].status == "problem"
    assert words in found["chat"].finding
    assert "stop honoured" in found["not checked"].finding


def test_a_silent_server_is_not_waited_for() -> None:
    with pretending.endpoint(behaviour=hang()) as server:
        found = findings(server.base_url, timeout=0.5)
    assert "sent nothing for 0.5 seconds" in found["chat"].finding


def test_an_endless_answer_is_left() -> None:
    def endless(handler: Handler) -> None:
        handler.begin_stream()
        while True:
            handler.chunk({"content": "again and again " * 1000})

    with pretending.endpoint(behaviour=endless) as server:
        found = findings(server.base_url)
    assert "does not end" in found["chat"].finding


def test_a_server_that_dies_meanwhile() -> None:
    def die(body: Body, said: Said) -> Said:
        if body.get("stop"):
            server.server.socket.close()
        return said

    server = pretending.endpoint(die)
    with server:
        found = findings(server.base_url)
    assert found["endpoint"].status == "ok"
    assert "stopped answering" in found["endpoint lost"].finding
    assert found["not checked"].status == "warning"


def test_a_model_that_is_not_listed() -> None:
    with pretending.endpoint() as server:
        found = findings(server.base_url, model="other")
    assert "not 'other'" in found["endpoint"].finding
    assert found["weights"].status == "warning"


def test_words_of_a_server_cannot_deceive_a_terminal() -> None:
    evil = status(500, "\x1b]0;owned\x07\x1b[2Jfine\nok  everything")
    with pretending.endpoint(behaviour=evil) as server:
        found = findings(server.base_url)
    assert "answers 500: fine ok everything" in found["chat"].finding
