"""The real command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.exits import MEANING, Exit
from tests.agent.conftest import Command, environment
from tests.scripted_endpoint import ScriptedEndpoint, call, hang, text

LOOK = call("grep", pattern="class Basket")
GOOD = text("Basket is defined in src/basket.py.")


def test_answer_on_stdout_and_progress_on_stderr(command: Command) -> None:
    with ScriptedEndpoint([LOOK, GOOD]) as endpoint:
        done = command("ask", "Where is Basket?", "--base-url", endpoint.base_url)
    assert (done.returncode, done.stdout) == (0, "Basket is defined in src/basket.py.\n")
    assert 'grep "class Basket"' in done.stderr and "1 match in 1 file" in done.stderr


def test_json_has_exactly_the_documented_keys(command: Command) -> None:
    with ScriptedEndpoint([LOOK, GOOD]) as endpoint:
        done = command(
            "-p", "Where?", "--base-url", endpoint.base_url, "--output-format", "json", input="ctx"
        )
        question = endpoint.requests[0]["messages"][-1]["content"]
    row = json.loads(done.stdout)
    assert list(row) == [
        "type",
        "subtype",
        "is_error",
        "result",
        "session_id",
        "num_turns",
        "duration_ms",
        "usage",
        "model",
        "tool_calls",
        "permission_denials",
    ]
    assert (row["type"], row["subtype"], row["is_error"]) == ("result", "success", False)
    assert row["tool_calls"] == [
        {
            "name": "grep",
            "arguments": {"pattern": "class Basket"},
            "outcome": "ok",
            "repeated": False,
        }
    ]
    assert question == "Where?\n\nctx"


def test_stream_json(command: Command) -> None:
    write = call("write_file", path="a.txt", content="x")
    with ScriptedEndpoint([LOOK, write, GOOD]) as endpoint:
        done = command(
            "ask", "Where?", "--base-url", endpoint.base_url, "--output-format", "stream-json"
        )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [row["type"] for row in rows]
    assert kinds == (
        ["init", "tool_use", "tool_result", "tool_use", "tool_result", "message", "error", "result"]
    )
    assert rows[-1]["subtype"] == "denied"
    assert done.returncode == Exit.DENIED


def test_batch(command: Command, codebase: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    questions = tmp_path / "questions.jsonl"
    rows = [
        {"id": "a", "question": "one"},
        {"question": "two", "directory": str(tmp_path / "other")},
        {"id": 3, "question": "three", "directory": "nowhere"},
    ]
    questions.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    with ScriptedEndpoint([text("1"), text("2")]) as endpoint:
        done = command("ask", "--batch", str(questions), "--base-url", endpoint.base_url)
        asked = [request["messages"][1:] for request in endpoint.requests]
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["subtype"], row["result"]) for row in got] == [
        ("a", "success", "1"),
        (2, "success", "2"),
        (3, "usage", ""),
    ]
    assert [[m["content"] for m in messages] for messages in asked] == [["one"], ["two"]]
    assert done.returncode == Exit.ERROR


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", " "], "no question"),
        (["ask", "x", "-C", "missing"], "no directory 'missing'"),
        (["ask", "x", "--frobnicate"], "--frobnicate"),
        (["ask", "x", "--permission-mode", "root"], "must be one of read-only"),
        (["ask", "x", "--output-format", "xml"], "must be one of text"),
        (["ask", "x", "--max-turns", "0"], "at least 1"),
        (["ask", "x", "--base-url", "ftp://x"], "not a URL"),
        (["ask", "x", "--base-url", "http://169.254.169.254/"], "metadata"),
        (["ask", "x", "--adapter", "a"], "--adapter needs --model"),
        (["ask", "--batch", "missing.jsonl"], "missing.jsonl cannot be read"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_use(command: Command, arguments: list[str], says: str) -> None:
    done = command(*arguments)
    assert done.returncode == Exit.USAGE
    assert says in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_stdin_that_is_not_utf_8(command: Command) -> None:
    done = command("ask", "x", input=b"caf\xe9", text=False)
    assert done.returncode == Exit.USAGE
    assert b"not UTF-8 (byte 3)" in done.stderr


def test_no_endpoint(command: Command) -> None:
    done = command("ask", "x", "--base-url", "http://127.0.0.1:9/v1", "--output-format", "json")
    assert done.returncode == Exit.UNAVAILABLE
    assert json.loads(done.stdout)["subtype"] == "unavailable"
    assert "No endpoint answers at http://127.0.0.1:9/v1" in done.stderr


def test_several_models_and_no_choice(command: Command) -> None:
    with ScriptedEndpoint([GOOD], models=("one", "two")) as endpoint:
        done = command("ask", "x", "--base-url", endpoint.base_url)
    assert done.returncode == Exit.USAGE
    assert "choose one with --model: one, two" in done.stderr


def test_unknown_tool_is_named(command: Command) -> None:
    with ScriptedEndpoint([GOOD]) as endpoint:
        done = command("ask", "x", "--base-url", endpoint.base_url, "--allowed-tools", "grep,bash")
    assert done.returncode == Exit.USAGE
    assert "no tool 'bash'; the tools are grep" in done.stderr


@pytest.mark.parametrize("output_format", ["text", "json"])
def test_ctrl_c(codebase: Path, tmp_path: Path, output_format: str) -> None:
    with ScriptedEndpoint([hang()]) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "ask", "x", "--base-url", endpoint.base_url,
             "--model", "m", "--output-format", output_format],
            cwd=codebase, env=environment(tmp_path), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert endpoint.server.asked.wait(120)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    if output_format == "json":
        assert json.loads(out)["subtype"] == "interrupted"


def test_a_reader_that_goes_away(codebase: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with ScriptedEndpoint([GOOD]) as endpoint:
        done = subprocess.run(
            [sys.executable, "-m", "agent", "ask", "x", "--base-url", endpoint.base_url],
            cwd=codebase, env=environment(tmp_path), stdin=subprocess.DEVNULL,
            stdout=write, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    os.close(write)
    assert done.returncode == Exit.BROKEN_PIPE
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_help_shows_every_exit_code(command: Command) -> None:
    shown = command("--help").stdout
    assert all(f"{code.value:>3}  {meaning}" in shown for code, meaning in MEANING.items())
    assert command("--version").stdout.startswith("agent 0.")
    assert command().returncode == 2  # a conversation needs a terminal
