"""`agent doctor` as a command, and against real servers, one at a time."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import trust
from agent_tools import TOOLS
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


def test_a_trusted_codebase_says_how_to_ask(
    command: Command, codebase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = codebase / trust.FILE
    file.parent.mkdir()
    with pretending.endpoint() as server:
        file.write_text(f"base_url = {json.dumps(server.base_url)}\nstop = ['<halt>']\n")
        assert command("trust", "--yes").returncode == 0
        done = command("doctor", "--json")
    report = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert server.base_url in report["endpoint"]["finding"]
    assert report["stop texts sent"]["finding"] == "1 texts: <halt>"


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
def serving(*program: str, ready: str, home: Path) -> Iterator[str]:
    """The base URL of a Python program in another process, ended by its own process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, *program, "--port", port],
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
    program = ("-m", "mlx_lm.server", "--model", str(EMBEDDED))
    with serving(*program, ready="Starting httpd", home=tmp_path) as url:
        found = findings(url, str(EMBEDDED), timeout=300.0)
    assert found["chat"].status == "ok"
    assert "--adapter-path" in found["weights"].finding
    assert "accepted, though the model's config.json says 2048" in found["context window"].finding
    assert "deleted and the answer goes on" in found["stop texts honoured"].finding
    for choice in ("required", "named"):
        assert "ignores it silently" in found[f"tool_choice {choice}"].finding
    assert found["prompt cache"].status == "ok"
    assert "not checked" not in found


@pytest.fixture
def llama(tmp_path: Path) -> Iterator[str]:
    """llama.cpp's server with the embedded model."""
    for module in ("gguf", "xllamacpp"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from agent_training import gguf

    gguf.write(EMBEDDED, tmp_path / "embedded.gguf")
    program = (str(Path(__file__).with_name("a_llama_server.py")), "--model")
    file = str(tmp_path / "embedded.gguf")
    with serving(*program, file, ready="ready", home=tmp_path) as url:
        yield url


def test_the_server_of_llama_cpp(command: Command, llama: str) -> None:
    done = command("doctor", "--base-url", llama, "--json")
    report = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert [check for check in report.values() if check["status"] == "problem"] == []
    fine = {name for name, check in report.items() if check["status"] == "ok"}
    assert fine >= {
        *("endpoint", "chat", "context window", "stop texts sent", "stop texts honoured"),
        *("end of turn", "length limit", "tool calls", "tool calls, streamed", "tool results"),
        *("prompt cache", "speed"),
    }
    said = {name: check["finding"] for name, check in report.items()}
    assert re.fullmatch(
        r"the server says 2048; \d+ are read whole, about \d+ refused\.", said["context window"]
    )
    assert said["tool calls"] == said["tool calls, streamed"]
    assert re.fullmatch(r'grep\(\{"pattern": ".*Basket.*"\}\)', said["tool calls"])
    assert said["weights"] == "The server does not say which weights answer, only a name."
    assert "the call came as text" in said["tool_choice none"]
    assert "silently" not in said["tool_choice required"]
    assert said["tool_choice named"].endswith("read_file was named, grep was called.")


def test_what_is_said_of_llama_cpp_is_so(command: Command, llama: str) -> None:
    """Each finding again, by hand."""
    import httpx2

    question = [{"role": "user", "content": "What is a unit test?"}]
    look = [{"role": "user", "content": "Where is the class Basket defined?"}]
    parameters = {"type": "object", "properties": {"pattern": {"type": "string"}}}
    tools = [
        {"type": "function", "function": {"name": tool.__name__, "parameters": parameters}}
        for tool in TOOLS
    ]

    def ask(messages: list[dict[str, str]], **more: object) -> httpx2.Response:
        body = {"messages": messages, "temperature": 0, "max_tokens": 80, **more}
        return httpx2.post(f"{llama}/chat/completions", json=body, timeout=60)

    whole = ask(question).json()["choices"][0]
    text = whole["message"]["content"]
    assert whole["finish_reason"] == "stop" and "<|" not in text
    stop = text[20:26]  # wherever tokens begin and end
    stopped = ask(question, stop=[stop]).json()["choices"][0]["message"]["content"]
    assert stopped == text[: text.index(stop)]
    assert ask(question, max_tokens=4).json()["choices"][0]["finish_reason"] == "length"

    called = ask(look, tools=tools).json()["choices"][0]
    [call] = called["message"]["tool_calls"]
    assert (called["finish_reason"], call["function"]["name"]) == ("tool_calls", "grep")
    assert "Basket" in json.loads(call["function"]["arguments"])["pattern"]
    refused = ask(look, tools=tools, tool_choice="none").json()["choices"][0]["message"]
    assert "tool_calls" not in refused and refused["content"].startswith("<tool_call>")
    forced = ask(question, tools=tools, tool_choice="required").json()["choices"][0]
    assert forced["finish_reason"] == (
        "tool_calls" if "tool_calls" in forced["message"] else "length"
    )

    too_long = ask([{"role": "user", "content": "river " * 3000}])
    assert too_long.status_code == 400 and too_long.json()["error"]["n_ctx"] == 2048
    listed = httpx2.get(f"{llama}/models").json()["data"][0]
    assert listed["meta"]["n_ctx"] == 2048 and not re.search("[0-9a-f]{32}", str(listed))
    long = [{"role": "user", "content": "A river and a table. " * 60}]
    first, again = (ask(long).json()["usage"] for _ in range(2))
    cached = again["prompt_tokens_details"]["cached_tokens"]
    assert cached > first["prompt_tokens"] / 2 > first["prompt_tokens_details"]["cached_tokens"]


def test_a_question_through_llama_cpp(command: Command, llama: str) -> None:
    import httpx2

    name = httpx2.get(f"{llama}/models").json()["data"][0]["id"]
    question = "Where is the class Basket defined?"
    done = command("ask", "--base-url", llama, "--model", name, question)
    assert done.returncode == 0 and "`src/basket.py`" in done.stdout
    assert done.stderr.startswith("grep ") and "1 match in 1 file" in done.stderr
    report = command("doctor", "--base-url", llama, "--model", name)
    assert report.returncode == 0 and report.stdout.endswith(" 0 problems\n")
