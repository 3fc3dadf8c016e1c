"""`agent doctor` as a command, and against real servers, one at a time."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agent import flaws, pretending
from tests.agent.conftest import Command, environment
from tests.agent.pretending import findings

EMBEDDED = Path(__file__).parents[2] / "src" / "agent" / "embedded"


def test_the_command_says_ok_in_json(command: Command) -> None:
    with pretending.endpoint() as server:
        done = command("doctor", "--base-url", server.base_url, "--json")
    report = json.loads(done.stdout)
    assert report["type"] == "doctor"
    problems = [check for check in report["checks"] if check["status"] == "problem"]
    assert (done.returncode, report["ok"], problems) == (0, True, [])
    assert all(set(c) == {"name", "status", "finding", "advice"} for c in report["checks"])
    names = [check["name"] for check in report["checks"]]
    assert names[-6:] == ["BLAS", "rg", "php", "confinement", "terminal", "folders"]


def test_the_command_says_what_to_do_and_exits_with_1(command: Command) -> None:
    with pretending.endpoint(flaws.calls_as_text) as server:
        done = command("doctor", "--base-url", server.base_url)
    assert done.returncode == 1
    assert "problem tool calls           A call came as text" in done.stdout
    assert "-> Serve the model with `agent serve`" in done.stdout
    assert done.stdout.endswith("2 problems\n")
    assert "\x1b" not in done.stdout


def test_nobody_there(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for more in ([], ["-m", "any"]):
        done = command("doctor", "--base-url", f"http://127.0.0.1:{port}/v1", *more, "--json")
        first, left_out, *machine_checks = json.loads(done.stdout)["checks"]
        assert done.returncode == 1
        assert (first["name"], first["status"]) == ("endpoint", "problem")
        assert left_out["name"] == "not checked"
        assert len(machine_checks) == 6


def test_a_wrong_command_line(command: Command) -> None:
    done = command("doctor", "--base-url", "ftp://x")
    assert done.returncode == 2
    assert "is not a URL" in done.stderr


def test_our_own_endpoint_with_the_embedded_model(command: Command) -> None:
    done = command("doctor", "--json")
    report = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert [check for check in report.values() if check["status"] == "problem"] == []
    assert done.returncode == 0
    fine = {name for name, check in report.items() if check["status"] == "ok"}
    assert fine >= {
        *("endpoint", "chat", "weights", "context window", "stop texts sent"),
        *("stop texts honoured", "end of turn", "length limit", "tool results"),
        *("tool_choice none", "tool_choice required", "tool_choice named", "prompt cache"),
    }
    assert "the server says 2048" in report["context window"]["finding"]
    assert "sha256:" in report["weights"]["finding"]


@contextmanager
def serving(module: str, *arguments: str, ready: str, home: Path) -> Iterator[str]:
    """The base URL of a server in another process, ended by its own process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--port", port],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment(home, HF_HUB_OFFLINE="1"),
    )  # fmt: skip
    assert server.stderr is not None
    try:
        said = ""
        for line in server.stderr:
            said += line
            if ready in line:
                break
        else:
            raise AssertionError(said)
        threading.Thread(target=server.stderr.read, daemon=True).start()
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def test_the_flaws_of_the_server_of_mlx_lm(tmp_path: Path) -> None:
    arguments = ("--model", str(EMBEDDED))
    with serving("mlx_lm.server", *arguments, ready="Starting httpd", home=tmp_path) as url:
        found = findings(url, str(EMBEDDED), timeout=300.0)
    assert found["chat"].status == "ok"
    assert "--adapter-path" in found["weights"].finding
    assert "accepted, though the model's config.json says 2048" in found["context window"].finding
    assert "deleted and the answer goes on" in found["stop texts honoured"].finding
    for choice in ("required", "named"):
        assert "ignores it silently" in found[f"tool_choice {choice}"].finding
    assert found["prompt cache"].status == "ok"
    assert "not checked" not in found


def test_the_server_of_llama_cpp(tmp_path: Path) -> None:
    """Needs `pip install llama-cpp-python[server]`, which compiles, and a model in GGUF."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python[server] is not installed")
    model = os.environ.get("AGENT_TEST_GGUF")
    if model is None:
        pytest.skip("AGENT_TEST_GGUF names no GGUF model")
    with serving(
        "llama_cpp.server", "--model", model, ready="Uvicorn running", home=tmp_path
    ) as url:
        found = findings(url, model, timeout=300.0)
    assert found["chat"].status == "ok"
    assert "not checked" not in found
