"""What goes over the wire, byte for byte."""

import json
from pathlib import Path

import pytest
from pydantic_ai.models.openai import OpenAIChatModelSettings

from agent import model
from agent.settings import STOPS, Settings
from tests.agent.conftest import Run
from tests.scripted_endpoint import call, text

ANSWER = text("Done.")


def test_the_first_request_is_small(run: Run) -> None:
    got = run([ANSWER], "Which classes inherit from Exception here?")
    assert len(got.bodies[0]) <= 4096
    assert len(got.requests[0]["tools"]) == 6


def test_stop_sequences_arrive(run: Run) -> None:
    assert run([ANSWER]).requests[0]["stop"] == list(STOPS)
    assert run([ANSWER], stop=("END",)).requests[0]["stop"] == ["END"]


def test_sampling_settings_arrive(run: Run) -> None:
    body = run([ANSWER], max_tokens=77, temperature=0.5).requests[0]
    assert (body["max_tokens"], body["temperature"]) == (77, 0.5)
    assert "max_completion_tokens" not in body
    assert run([ANSWER]).requests[0]["temperature"] == 0.0


def test_every_model_setting_is_known_to_pydantic_ai() -> None:
    assert set(model.model_settings(Settings())) <= OpenAIChatModelSettings.__optional_keys__
    with pytest.raises(ValueError, match="stop"):
        model.checked({"stop": ["x"]})  # type: ignore[typeddict-unknown-key]


def test_history_only_grows(run: Run) -> None:
    got = run([call("grep", pattern="Basket"), call("find_files", glob="*.py"), ANSWER])
    bodies = [body.decode() for body in got.bodies]
    tools = [body[body.index('"tools"') :] for body in bodies]
    assert tools[0] == tools[1] == tools[2]
    messages = [json.dumps(request["messages"])[:-1] for request in got.requests]
    assert messages[1].startswith(messages[0]) and messages[2].startswith(messages[1])
    assert bodies[1].startswith(bodies[0].split("]")[0])


def test_two_runs_send_the_same_first_bytes(run: Run) -> None:
    assert run([ANSWER]).bodies == run([ANSWER]).bodies


def test_only_allowed_tools_are_offered(run: Run) -> None:
    tools = run([ANSWER], allowed_tools=("grep", "read_file")).requests[0]["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["grep", "read_file"]


def test_the_system_prompt_can_be_replaced_and_extended(run: Run) -> None:
    body = run([ANSWER], system_prompt="Be kind.", append_system_prompt="Be brief.").requests[0]
    assert body["messages"][0]["content"] == "Be kind.\n\nBe brief."


def test_the_prompt_names_nothing_of_the_machine(run: Run, codebase: Path) -> None:
    assert str(codebase) not in run([ANSWER]).bodies[0].decode()
