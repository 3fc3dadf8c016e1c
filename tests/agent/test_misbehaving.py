"""Every way in which small models and their servers misbehave, and what a user deserves then."""

import json

import pytest

from agent.exits import BY_SUBTYPE, Exit
from tests.agent.conftest import Run
from tests.scripted_endpoint import (
    Handler,
    call,
    calls,
    cut,
    cut_call,
    hang,
    html,
    raw_call,
    stall,
    status,
    text,
)

GOOD = text("Basket is defined in src/basket.py.")
LOOK = call("grep", pattern="class Basket")


def test_a_question_is_answered_with_a_real_tool(run: Run) -> None:
    got = run([LOOK, GOOD])
    assert got.result.subtype == "success"
    assert got.shown == "Basket is defined in src/basket.py."
    assert got.calls() == [("grep", "ok")]
    assert got.result.num_turns == 2
    assert got.result.model == {"name": "scripted", "hash": "fp-scripted"}
    told = got.requests[1]["messages"][-1]
    assert told["role"] == "tool"
    assert told["content"].startswith("1 match in 1 file\nsrc/basket.py:1:")


def test_identical_calls_for_ever(run: Run) -> None:
    got = run([LOOK])
    assert got.result.subtype == "looped"
    assert BY_SUBTYPE[got.result.subtype] is Exit.LOOPED
    assert got.calls() == [("grep", "ok"), ("grep", "ok"), ("grep", "skipped")]
    assert [c.repeated for c in got.result.tool_calls] == [False, True, True]
    assert len(got.requests) == 4
    assert "tools" in got.requests[2] and "tools" not in got.requests[3]
    assert "its result is above" in got.requests[3]["messages"][-1]["content"]


def test_identical_calls_spelt_differently(run: Run) -> None:
    got = run(
        [
            call("grep", pattern="class Basket"),
            call("grep", pattern="class Basket", path="."),
            call("grep", pattern="class Basket", path="./", glob=""),
            GOOD,
        ]
    )
    assert got.calls()[-1] == ("grep", "skipped")
    assert got.result.subtype == "success"
    assert got.result.interventions == ("loop_identical",)


def test_two_calls_in_turn_for_ever(run: Run) -> None:
    other = call("find_files", glob="*.py")
    got = run([LOOK, other, LOOK, other, LOOK, other])
    assert got.result.subtype == "looped"
    assert len(got.requests) == 5
    assert got.calls()[3] == ("find_files", "skipped")


def test_empty_arguments_for_ever(run: Run) -> None:
    got = run([raw_call("read_file", "{}")])
    assert got.result.subtype == "looped"
    assert len(got.requests) == 2
    assert "read_file needs 'path' (string)" in got.requests[1]["messages"][-1]["content"]
    assert got.calls() == [("read_file", "failed")] * 2


def test_malformed_arguments_once(run: Run) -> None:
    got = run([raw_call("grep", '{"pattern": "class Bas'), LOOK, GOOD])
    assert got.result.subtype == "success"
    assert got.calls() == [("grep", "failed"), ("grep", "ok")]
    assert "not valid JSON" in got.requests[1]["messages"][-1]["content"]
    sent_back = got.requests[1]["messages"][-2]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(json.loads(sent_back), dict)


def test_wrong_type_of_an_argument(run: Run) -> None:
    got = run([raw_call("read_file", '{"path": "README.md", "start": "soon"}'), GOOD])
    assert "'start' must be a integer" in got.requests[1]["messages"][-1]["content"]
    assert got.result.subtype == "success"


def test_invented_argument(run: Run) -> None:
    got = run([raw_call("grep", '{"pattern": "x", "recursive": true}'), GOOD])
    assert "takes no 'recursive'" in got.requests[1]["messages"][-1]["content"]


def test_unknown_tool_for_ever(run: Run) -> None:
    got = run([call("make_coffee", sugar=2)])
    assert got.result.subtype == "looped"
    assert len(got.requests) == 2
    told = got.requests[1]["messages"][-1]["content"]
    assert "make_coffee" in told and "grep" in told


@pytest.mark.parametrize("name", [" Grep ", "GREP", "ripgrep", "functions.grep", "search"])
def test_tool_names_spelt_differently(run: Run, name: str) -> None:
    got = run([call(name, pattern="class Basket"), GOOD])
    assert got.calls() == [("grep", "ok")]
    assert got.requests[1]["messages"][-2]["tool_calls"][0]["function"]["name"] == "grep"


CALL = '{"name": "grep", "arguments": {"pattern": "class Basket"}}'


@pytest.mark.parametrize(
    "printed",
    [
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"<tool_call>{CALL}",
        f"```json\n{CALL}\n```",
        CALL,
        f"[{CALL}]",
        "<function=grep>\n<parameter=pattern>\nclass Basket\n</parameter>\n</function>",
        '{"type": "function", "function": {"name": "grep", '
        '"arguments": "{\\"pattern\\": \\"class Basket\\"}"}}',
    ],
)
def test_a_call_printed_as_text_is_executed(run: Run, printed: str) -> None:
    got = run([text(printed), GOOD])
    assert got.calls() == [("grep", "ok")]
    assert got.shown == "Basket is defined in src/basket.py."
    assert got.result.interventions == ("rescued_tool_call",)


@pytest.mark.parametrize(
    "printed",
    [
        f"I will look.\n<tool_call>\n{CALL}\n</tool_call>",
        '<tool_call>\n{"name": "make_coffee", "arguments": {}}\n</tool_call>',
        "<tool_call>\n{not json}\n</tool_call>",
        '{"name": "make_coffee", "arguments": {}}',
    ],
)
def test_a_doubtful_call_stays_text_and_is_no_success(run: Run, printed: str) -> None:
    got = run([text(printed)])
    assert got.result.subtype == "unparsed_tool_call"
    assert BY_SUBTYPE[got.result.subtype] is Exit.INCOMPLETE
    assert got.calls() == []


def test_an_answer_about_call_markup_is_an_answer(run: Run) -> None:
    explained = f"Hermes models write:\n```\n<tool_call>\n{CALL}\n</tool_call>\n```"
    got = run([text(explained)])
    assert got.result.subtype == "success"
    assert got.shown == explained


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_garbage_after_the_answer(run: Run, size: int) -> None:
    got = run([text("It is in src/basket.py.<|im_end|>\n<|im_start|>user\nfoo bar", size=size)])
    assert got.shown == "It is in src/basket.py."
    assert got.result.subtype == "success"
    assert "<|" not in "".join(getattr(event, "text", "") for event in got.events)


def test_one_sentence_400_times(run: Run) -> None:
    sentence = "The basket is defined in the file of the basket. "
    got = run([text(sentence * 400, size=20)])
    assert got.result.subtype == "truncated"
    assert got.shown == sentence.strip()
    assert got.result.interventions == ("repeated_text",)


def test_empty_answer(run: Run) -> None:
    got = run([text("")])
    assert got.result.subtype == "empty"
    assert BY_SUBTYPE["empty"] is Exit.INCOMPLETE
    assert len(got.requests) == 1


def test_blank_answer(run: Run) -> None:
    assert run([text("  \n \n")]).result.subtype == "empty"


def test_answer_cut_off_by_its_length(run: Run) -> None:
    got = run([text("It is in the fi", finish="length")])
    assert got.result.subtype == "truncated"
    assert got.shown == "It is in the fi"


def test_stream_cut_in_the_middle(run: Run) -> None:
    got = run([cut("It is in the fi")], retries=3)
    assert got.result.subtype == "truncated"
    assert got.shown == "It is in the fi"
    assert len(got.requests) == 1


def test_stream_without_an_end(run: Run) -> None:
    got = run([text("It is in the fi", finish=None)])
    assert got.result.subtype == "truncated"


def test_stream_cut_within_a_call(run: Run) -> None:
    got = run([cut_call("write_file", '{"path": "a", "content": "b"}')], permission_mode="yolo")
    assert got.result.is_error
    assert got.calls() == []


def test_escape_sequences(run: Run) -> None:
    attack = "\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07\x1b]8;;http://x\x1b\\link\x9b2J \u202egnp"
    got = run([text(attack, size=1)])
    assert got.shown == "red link gnp"


def test_half_characters_end_no_conversation(run: Run) -> None:
    """A lone surrogate is valid JSON, but nothing that a request can carry back."""
    script = [
        raw_call("read_\ud800", '{"path": "a.py"}'),
        raw_call("read_file", '{"path": "\ud800"}'),
        call("find_files", glob="\ud800/../../x"),
        call("grep", pattern="\ud800"),
        text("It is in \ud800 a.py.", size=50),
    ]
    got = run(script)
    assert (got.result.subtype, got.shown) == ("success", "It is in  a.py.")
    assert len(got.requests) == len(script)


def test_a_name_too_long_for_any_file_is_told_to_the_model(run: Run) -> None:
    got = run([call("write_file", path="x" * 5000, content=""), GOOD], permission_mode="yolo")
    assert got.calls() == [("write_file", "failed")]


@pytest.mark.parametrize("behaviour", [hang(), stall("It is")])
def test_a_hanging_endpoint(run: Run, behaviour: object) -> None:
    got = run([behaviour], timeout=0.3)
    assert got.result.subtype in ("unavailable", "truncated")
    assert "0.3 seconds" in got.result.message


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_busy_endpoint_is_asked_again(run: Run, code: int) -> None:
    got = run([status(code, retry_after="0"), GOOD], retries=2)
    assert got.result.subtype == "success"
    assert len(got.requests) == 2


def test_a_busy_endpoint_is_not_asked_for_ever(run: Run) -> None:
    got = run([status(503, "overloaded", retry_after="0")], retries=2)
    assert got.result.subtype == "unavailable"
    assert len(got.requests) == 3


@pytest.mark.parametrize(
    ("behaviour", "subtype", "says"),
    [
        (html(), "unavailable", "no chat completion"),
        (html(404), "unavailable", "404"),
        (status(404, "no such model"), "unavailable", "knows no model 'scripted'"),
        (status(500, "boom"), "unavailable", "500: boom"),
        (status(401, "no"), "unavailable", "AGENT_API_KEY"),
        (status(400, "scripted does not support tools"), "unavailable", "not support tools"),
        (
            status(400, "This model's maximum context length is 2048 tokens"),
            "context_overflow",
            "does not fit",
        ),
        (status(302, location="http://127.0.0.1:1/v1"), "unavailable", "redirects"),
    ],
)
def test_an_endpoint_that_refuses(run: Run, behaviour: object, subtype: str, says: str) -> None:
    got = run([behaviour])
    assert (got.result.subtype, len(got.requests)) == (subtype, 1)
    assert says in got.result.message
    assert "<html" not in got.result.message


def test_a_dropped_call(run: Run) -> None:
    def dropped(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk({"role": "assistant", "content": ""}, "tool_calls")
        handler.end_stream(None)

    got = run([dropped])
    assert got.result.subtype == "error"
    assert "announced a tool call and sent none" in got.result.message


def test_a_prompt_cut_silently(run: Run) -> None:
    question = "Explain this: " + "alpha beta gamma " * 1000
    got = run([text("Sure.", prompt_tokens=512)], question)
    assert got.result.subtype == "context_overflow"
    assert "512 tokens" in got.result.message and got.shown == ""


def test_a_prompt_cut_silently_in_a_later_turn(run: Run, codebase: object) -> None:
    long = "one two three four five six seven eight nine ten\n" * 100
    (codebase / "notes.txt").write_text(long)  # type: ignore[operator]
    script = [
        call("read_file", path="notes.txt", prompt_tokens=1100),
        text("Ok", prompt_tokens=1150),
    ]
    assert run(script).result.subtype == "context_overflow"


def test_too_many_turns(run: Run) -> None:
    script = [call("grep", pattern=f"word{n}") for n in range(9)]
    got = run(script, max_turns=3)
    assert got.result.subtype == "turn_limit"
    assert (got.result.num_turns, len(got.requests)) == (3, 3)


def test_the_same_error_for_ever(run: Run) -> None:
    script = [call("read_file", path="missing.py", start=n) for n in range(1, 9)]
    got = run(script)
    assert got.result.subtype == "looped"
    assert len(got.requests) == 4


def test_several_calls_run_in_order(run: Run) -> None:
    write = ("write_file", '{"path": "a.txt", "content": "one\\n"}')
    edit = ("edit_file", '{"path": "a.txt", "old": "one", "new": "two"}')
    got = run([calls(write, edit), text("Done.")], permission_mode="accept-edits")
    assert got.calls() == [("write_file", "ok"), ("edit_file", "ok")]
