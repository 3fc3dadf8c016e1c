"""A model in a process of its own: what it costs, and that nothing is left of it."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from agent.exits import AgentError
from agent_evals import serving
from agent_evals.config import Configuration
from tests.scripted_endpoint import ScriptedEndpoint


def answers(url: str, token: str) -> bool:
    request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return True
    except urllib.error.URLError:
        return False


def test_the_embedded_model_and_its_costs() -> None:
    opened = serving.open_(Configuration("embedded"))
    endpoint = opened.endpoint
    try:
        assert endpoint.embedded and answers(endpoint.base_url, endpoint.api_key)
    finally:
        opened.close()
    row = opened.as_row()
    assert row["served"] == "embedded"
    assert row["load_seconds"] > 0
    assert row["peak_memory_bytes"] > row["disk_bytes"] > 1_000_000
    assert not answers(endpoint.base_url, endpoint.api_key)
    opened.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process is as fast")
def test_a_tiny_model_gets_a_core_for_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    opened = serving.open_all(Configuration("embedded"), 8)
    try:
        assert len({one.endpoint.base_url for one in opened}) == 2
        assert all(answers(one.endpoint.base_url, one.endpoint.api_key) for one in opened)
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize("width", [1, 4])
def test_few_cases_share_one_process(width: int) -> None:
    [opened] = serving.open_all(Configuration("embedded"), width)
    opened.close()


def test_it_ends_when_we_do() -> None:
    opened = serving.open_(Configuration("embedded"))
    process = opened._process
    assert process is not None and process.stdin is not None
    process.stdin.close()  # as the system does for a process that is killed
    assert process.wait(30) == 0


def test_models_of_others_cost_us_nothing() -> None:
    with ScriptedEndpoint([]) as endpoint:
        opened = serving.open_(Configuration("far", base_url=endpoint.base_url))
        opened.close()
    assert opened.as_row()["peak_memory_bytes"] is None
    assert opened.endpoint.model == "scripted"


def test_a_broken_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(AgentError, match=r"broken: the model .* cannot be loaded") as raised:
        serving.open_(Configuration("broken", str(tmp_path)))
    assert raised.value.subtype == "unavailable"
