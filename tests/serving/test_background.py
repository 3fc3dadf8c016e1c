"""One background endpoint per model: found again, shared, stopped, never in each other's way."""

import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import OpenAI

from agent.serving import background
from agent.serving.background import Background, Place
from agent.serving.weights import LoadError
from tests.serving import tiny
from tests.serving.driving import ask


@pytest.fixture
def model(lfm2_folder: Path) -> str:
    return str(lfm2_folder)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of its own, and no process left in it."""
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path / "agent" / "endpoints"
    background.stop()


def answers(endpoint: Background) -> bool:
    client = OpenAI(base_url=endpoint.base_url, api_key=endpoint.token)
    body = ask(max_tokens=2)
    client.post("/chat/completions", body=body, cast_to=object)
    return True


def wait_for_end(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # the subprocess module may have been first
        os.waitpid(pid, 0)


def test_callers_at_once_share_one(model: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(background.find_or_start, [model] * 4))
    assert len(set(found)) == 1
    assert answers(found[0])
    assert background.ps() == [found[0]]


def test_models_stay_apart(model: str, llama_folder: Path) -> None:
    one, other = background.find_or_start(model), background.find_or_start(str(llama_folder))
    assert one.pid != other.pid and one.token != other.token
    assert background.stop(str(llama_folder)) == [other]
    assert background.ps() == [one] and answers(one)
    assert background.stop(one.model) == [one]
    assert background.ps() == []
    wait_for_end(one.pid)


def test_the_state_is_private(model: str, state: Path) -> None:
    background.find_or_start(model)
    for path in (state, *state.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_killed_server_leaves_nothing_in_the_way(model: str) -> None:
    first = background.find_or_start(model)
    os.kill(first.pid, signal.SIGKILL)
    wait_for_end(first.pid)
    assert background.ps() == []
    second = background.find_or_start(model)
    assert second.pid != first.pid and answers(second)


def test_a_stale_file_with_a_living_process_id_harms_nobody(model: str, state: Path) -> None:
    first = background.find_or_start(model)
    (path,) = state.glob("*.json")
    stale = path.read_text().replace(str(first.pid), str(os.getpid()))
    background.stop()
    path.write_text(stale)
    assert background.stop() == []
    assert answers(background.find_or_start(model))


def test_it_ends_by_itself_when_nobody_asks(model: str) -> None:
    endpoint = background.find_or_start(model, keep_alive=0.2)
    wait_for_end(endpoint.pid)
    assert background.ps() == []


def test_a_changed_model_gets_a_new_server(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "changing", "llama", seed=1)
    before = background.find_or_start(str(folder))
    tiny.build(folder, "llama", seed=2)
    after = background.find_or_start(str(folder))
    assert after.pid != before.pid and after.weights != before.weights


def test_a_model_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no model at"):
        background.find_or_start(str(tmp_path / "nowhere"))
    folder = tiny.build(tmp_path / "broken", "llama")
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(LoadError, match="broken cannot be loaded"):
        background.find_or_start(str(folder))
    assert background.ps() == []


def test_nothing_is_imported_from_where_the_user_stands(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    assert answers(background.find_or_start(model))


def test_the_key_does_not_depend_on_how_a_folder_is_written(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(model).parent)
    first = background.find_or_start(model)
    assert background.find_or_start("./" + Path(model).name) == first
    assert isinstance(Place("x"), Place)
