"""Runs that are broken off, repeated and shared between configurations, at a scripted endpoint."""

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.exits import Exit
from agent_evals.store import Store, read
from tests.evals.making import DIRECT_ROW, TOOL_ROW, suite_file
from tests.evals.public_making import bfcl
from tests.scripted_endpoint import Behaviour, Handler, ScriptedEndpoint, call, hang, html, text

ANSWER = text("It is in src/gauge.py.")
SIX = [{**TOOL_ROW, "id": f"t{n}", "question": f"Where is Gauge {n} defined?"} for n in range(6)]


def flags(folder: Path, endpoint: ScriptedEndpoint, *more: str) -> list[str]:
    """The command; the suite is made by the first one."""
    suite = folder / "suites" / "little.jsonl"
    if not suite.exists():
        suite_file(folder, *SIX)
    where = ["--base-url", endpoint.base_url, "--model", "scripted", "--out", str(folder / "out")]
    return ["bench", "--suite", str(suite), *where, "--concurrency", "1", *more]


def results(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def asked(endpoint: ScriptedEndpoint) -> list[str]:
    """The questions the endpoint got, warm-ups left out."""
    questions = [request["messages"][-1]["content"] for request in endpoint.requests]
    return [question for question in questions if question != "Hello"]


def other_weights(handler: Handler) -> None:
    handler.begin_stream()
    choice = {"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}
    handler.data({"choices": [choice], "system_fingerprint": "fp-other"})
    handler.end_stream(None)


def test_what_a_kill_leaves_is_gone_on_with(tmp_path: Path) -> None:
    reached = threading.Event()

    def hanging(handler: Handler) -> None:
        reached.set()
        hang()(handler)

    with ScriptedEndpoint([text("Hello."), ANSWER, ANSWER, hanging, ANSWER]) as endpoint:
        command = flags(tmp_path, endpoint)
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", *command],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(results(tmp_path)) == 2
        assert main(command) == Exit.OK
        rows = results(tmp_path)
        questions = asked(endpoint)
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in SIX)
    assert len(questions) == 7  # the one that hung was asked again


@pytest.mark.parametrize("seed", range(4))
def test_a_file_cut_at_any_byte_is_completed(tmp_path: Path, seed: int) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        command = flags(tmp_path, endpoint)
        assert main(command) == Exit.OK
        file = tmp_path / "out" / "results.jsonl"
        whole = file.read_bytes()
        kept = whole[: random.Random(seed).randrange(len(whole))]
        file.write_bytes(kept)
        before = len(asked(endpoint))
        assert len(read(tmp_path / "out").rows) == kept.count(b"\n")
        assert main(command) == Exit.OK
        assert len(asked(endpoint)) - before == 6 - kept.count(b"\n")
    rows = results(tmp_path)
    assert len({row["key"] for row in rows}) == len(rows) == 6
    assert file.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])


def test_the_same_command_finds_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with ScriptedEndpoint([ANSWER]) as endpoint:
        command = [part for part in flags(tmp_path, endpoint)]
        command = [part for part in command if part not in ("--out", str(tmp_path / "out"))]
        assert main(command) == Exit.OK
        once = len(endpoint.requests)
        first = capsys.readouterr().out
        assert main(command) == Exit.OK
        assert len(endpoint.requests) == once
        again = capsys.readouterr()
        assert "All 6 results" in again.err
        assert first.splitlines()[3:] == again.out.splitlines()[3:]
        assert main([*command, "--limit", "2"]) == Exit.OK
        assert main([*command, "--fresh"]) == Exit.OK
        assert len(asked(endpoint)) == 6 + 2 + 6
    folders = sorted((tmp_path / ".bench").iterdir())
    assert [len(list(folder.glob("results*.jsonl"))) for folder in folders] in ([1, 2], [2, 1])


def test_other_cases_are_not_mixed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        assert main(flags(tmp_path, endpoint)) == Exit.OK
        assert main(flags(tmp_path, endpoint, "--limit", "2")) == Exit.USAGE
        assert "already holds results of another run" in capsys.readouterr().err
        assert main(flags(tmp_path, endpoint, "--epochs", "2")) == Exit.OK
    assert len(results(tmp_path)) == 12


def test_two_runs_into_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint, Store(tmp_path / "out"):
        assert main(flags(tmp_path, endpoint)) == Exit.USAGE
        assert endpoint.requests == []
    assert "Another run writes into" in capsys.readouterr().err


def test_epochs_are_results_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        assert main(flags(tmp_path, endpoint, "--epochs", "3", "--limit", "2")) == Exit.OK
    rows = results(tmp_path)
    assert [row["epoch"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert "6/6 cases\n" in capsys.readouterr().err
    assert len({row["key"] for row in rows}) == 6


def two(folder: Path, first: ScriptedEndpoint, second: ScriptedEndpoint) -> Path:
    path = folder / "bench.toml"
    tables = (
        f'[[configuration]]\nname = "{name}"\nmodel = "scripted"\nbase_url = "{one.base_url}"\n'
        for name, one in (("a", first), ("b", second))
    )
    path.write_text("\n".join(tables))
    return path


def command_of_two(folder: Path, file: Path, *more: str) -> list[str]:
    suite = suite_file(folder, *SIX)
    where = ["--suite", str(suite), "--out", str(folder / "out"), "--config", str(file)]
    return ["bench", *where, *more]


@pytest.mark.parametrize(
    ("concurrency", "order"), [("1", "ab" * 6), ("2", "aabb" * 3), ("8", "a" * 6 + "b" * 6)]
)
def test_configurations_take_turns(tmp_path: Path, concurrency: str, order: str) -> None:
    with ScriptedEndpoint([ANSWER]) as first, ScriptedEndpoint([ANSWER]) as second:
        file = two(tmp_path, first, second)
        assert main(command_of_two(tmp_path, file, "--concurrency", concurrency)) == Exit.OK
        assert sorted(asked(first)) == sorted(asked(second))
    rows = results(tmp_path)
    assert "".join(row["configuration"] for row in rows) == order
    manifest = read(tmp_path / "out").manifest
    assert [entry["name"] for entry in manifest["configurations"]] == ["a", "b"]
    assert manifest["finished"]


def stopped(
    folder: Path, script: Sequence[Behaviour], capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit code and the message of a run of the script, and of one that goes on."""
    with ScriptedEndpoint(script) as endpoint:
        command = flags(folder, endpoint)
        code = main(command)
        message = capsys.readouterr().err
        assert main(command) == Exit.OK
    assert len({row["key"] for row in results(folder)}) == len(results(folder)) == 6
    return code, message


def test_weights_that_change_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = [text("Hello."), ANSWER, ANSWER, other_weights, ANSWER]
    code, message = stopped(tmp_path, script, capsys)
    assert code == Exit.ERROR
    assert "fp-other" in message and "2 of 6 results are in" in message


def test_weights_may_not_change_between_two_parts_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint([text("Hello."), ANSWER, other_weights]) as endpoint:
        assert main(flags(tmp_path, endpoint)) == Exit.ERROR
        assert main(flags(tmp_path, endpoint)) == Exit.ERROR
    assert "start anew with --fresh" in capsys.readouterr().err
    assert len(results(tmp_path)) == 1


def test_the_weights_are_those_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        file = two(tmp_path, endpoint, endpoint)
        file.write_text(file.read_text() + 'weights = "fp-wanted"\n')
        assert main(command_of_two(tmp_path, file)) == Exit.ERROR
        assert asked(endpoint) == []
    message = capsys.readouterr().err
    assert "fp-scripted" in message and "fp-wanted" in message


def test_an_endpoint_that_dies_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def dying(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk({"role": "assistant", "content": "It is"})
        handler.server.socket.close()
        handler.connection.close()

    endpoint = ScriptedEndpoint([text("Hello."), ANSWER, dying])
    with endpoint:
        assert main(flags(tmp_path, endpoint)) == Exit.UNAVAILABLE
    message = capsys.readouterr().err
    assert "scripted: stopped at " in message
    assert "1 of 6 results are in" in message and "the same command goes on" in message


def test_an_endpoint_that_never_made_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint([html()]) as endpoint:
        assert main(flags(tmp_path, endpoint)) != Exit.OK
    assert "0 of 6 results are in" in capsys.readouterr().err
    assert results(tmp_path) == []


def test_no_room_for_a_copy_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        command = flags(tmp_path, endpoint)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        assert main(command) == Exit.ERROR
        message = capsys.readouterr().err
        assert "No such file" in message and "0 of 6 results are in" in message
        monkeypatch.undo()
        assert main(command) == Exit.OK
    assert len(results(tmp_path)) == 6


def test_public_sets_run_like_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"bfcl:{bfcl(tmp_path / 'bfcl')}"
    called = call("shape_area", shape="square", side=3)
    with ScriptedEndpoint([text("Hello."), called, text("I have no tool for that.")]) as endpoint:
        command = flags(tmp_path, endpoint, "--suite", where)
        assert main(command) == Exit.OK
        assert len(endpoint.requests) == 3
        assert main(command) == Exit.OK
        assert len(endpoint.requests) == 3
    rows = read(tmp_path / "out").rows
    assert {row.label for row in rows} == {"tool", "direct"}
    assert read(tmp_path / "out").manifest["suite"] == "bfcl"


def test_tools_that_are_not_offered_are_not_sent(tmp_path: Path) -> None:
    row = {**DIRECT_ROW, "label": "abstain", "subtype": "missing_tool", "offered": ["grep"]}
    suite_file(tmp_path, row)
    look = call("read_file", path="src/gauge.py")
    with ScriptedEndpoint([text("Hello."), look, ANSWER]) as endpoint:
        assert main(flags(tmp_path, endpoint)) == Exit.OK
        offered = [tool["function"]["name"] for tool in endpoint.requests[1]["tools"]]
    assert offered == ["grep"]
    (result,) = results(tmp_path)
    assert result["calls"][0]["valid"] is False
    assert result["verdict"]["decision"] == "malformed"
