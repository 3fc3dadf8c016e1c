"""The model in the package, served as any other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

import agent
from agent.serving import lean, local
from tests.serving.driving import GREP

FOLDER = Path(agent.__file__).parent / "embedded"

pytestmark = pytest.mark.skipif(
    not (FOLDER / "model.safetensors").is_file(), reason="the embedded model is not there yet"
)


@pytest.fixture(scope="module")
def embedded() -> Iterator[local.LocalEndpoint]:
    endpoint = local.start()
    yield endpoint
    endpoint.close()


def test_it_loads_without_transformers() -> None:
    assert lean.suits(FOLDER)


def test_it_fits_into_the_package() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 16 * 1024 * 1024


def test_it_calls_a_tool_with_valid_arguments(embedded: local.LocalEndpoint) -> None:
    client = OpenAI(base_url=embedded.base_url, api_key=embedded.token)
    question: Any = [{"role": "user", "content": "Where is the class Config defined?"}]
    answer = client.chat.completions.create(
        model=embedded.model,
        messages=question,
        tools=[GREP],
        tool_choice="required",
        max_tokens=200,
    )  # type: ignore[call-overload]
    (call, *_) = answer.choices[0].message.tool_calls
    assert call.function.name == "grep"
    assert json.loads(call.function.arguments).keys() == {"pattern"}
    assert answer.system_fingerprint == embedded.wait_ready()


def test_it_answers_in_words_when_no_tool_is_offered(embedded: local.LocalEndpoint) -> None:
    client = OpenAI(base_url=embedded.base_url, api_key=embedded.token)
    question: Any = [{"role": "user", "content": "What is a class?"}]
    answer = client.chat.completions.create(
        model=embedded.model, messages=question, max_tokens=200, temperature=0
    )
    assert (answer.choices[0].message.content or "").strip()
    assert "<|" not in (answer.choices[0].message.content or "")
