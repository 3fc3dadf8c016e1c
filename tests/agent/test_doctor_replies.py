"""Whatever a server sends is read, or refused in one way."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doctor.models import names
from agent.doctor.reply import Reply, events, message, parsed

KEYS = st.sampled_from(
    [
        *("choices", "message", "delta", "content", "tool_calls", "function", "name"),
        *("arguments", "index", "id", "usage", "prompt_tokens", "prompt_tokens_details"),
        *("error", "finish_reason"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=30,
)


@given(JSON, JSON)
def test_any_json_is_a_reply_or_none(value: object, choice: object) -> None:
    for fields in (value, {"choices": [choice], "usage": value}, {"choices": value}):
        with contextlib.suppress(ValueError):
            Reply().take(fields)
    assert isinstance(message(json.dumps(value)), str)
    listed = names({"data": [value, choice]})
    assert listed is not None and all(isinstance(name, str) for name in listed)


def test_nesting_without_end_is_no_reply() -> None:
    with pytest.raises(ValueError, match="nested"):
        parsed("[" * 200_000)


@given(st.text(alphabet="data: {}\r\n"), st.integers(1, 5))
def test_events_do_not_depend_on_how_the_text_is_cut(text: str, size: int) -> None:
    pieces = (text[i : i + size] for i in range(0, len(text), size))
    assert list(events(pieces)) == list(events(iter([text])))
