"""`agent doctor` against servers with one flaw each, ours, and other people's."""

import dataclasses
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.connect import Endpoint
from agent.doctor import machine
from agent.doctor.examine import of_endpoint
from agent.doctor.finding import Finding
from agent.settings import Settings
from tests.agent import pretending
from tests.agent.conftest import Command, environment
from tests.agent.pretending import ANSWER, Body, Flaw, Passed, Said
from tests.scripted_endpoint import MODEL, Behaviour, Handler, cut, hang, html, status

EMBEDDED = Path(__file__).parents[2] / "src" / "agent" / "embedded"
CHECKS = 16


def findings(base_url: str, model: str = MODEL, **settings: Any) -> dict[str, Finding]:
    wanted = Settings(**{"timeout": 30.0, **settings})
    found = list(of_endpoint(wanted, Endpoint(base_url, model, "none")))
    assert len({f.name for f in found}) == len(found)
    assert all(f.finding and f.advice and "\n" not in f.finding for f in found)
    return {f.name: f for f in found}


def of_flaw(flaw: Flaw, behaviour: Behaviour | None = None, **more: Any) -> dict[str, Finding]:
    with pretending.endpoint(flaw, behaviour, more.pop("page", None)) as server:
        return findings(server.base_url, **more)


def right(body: Body, said: Said) -> Said:
    return said


def bad(found: dict[str, Finding]) -> dict[str, str]:
    return {name: f.status for name, f in found.items() if f.status != "ok"}


def test_a_server_without_flaw_passes_every_check() -> None:
    found = of_flaw(right)
    assert bad(found) == {}
    assert len(found) == CHECKS


# Stop texts, ends and limits


def stopped(body: Body) -> bool:
    return bool(body.get("stop")) and body["stop"][0] in ANSWER


def ignores_stops(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text=ANSWER) if stopped(body) else said


def deletes_stops(body: Body, said: Said) -> Said:
    text = ANSWER.replace(body["stop"][0], "") if stopped(body) else said.text
    return dataclasses.replace(said, text=text)


def keeps_stops(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text=said.text + body["stop"][0]) if stopped(body) else said


def leaks_half_a_stop(body: Body, said: Said) -> Said:
    text = said.text + body["stop"][0][:2] if stopped(body) else said.text
    return dataclasses.replace(said, text=text)


def answers_differently(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text="Something else.") if stopped(body) else said


def goes_on_after_the_turn(body: Body, said: Said) -> Said:
    if said.calls or body["max_tokens"] < 100:
        return said
    return dataclasses.replace(said, text=said.text + "<|im_end|>\n<|im_start|>user\nThanks!")


def ends_at_our_stop_texts_only(body: Body, said: Said) -> Said:
    return said if body.get("stop") else goes_on_after_the_turn(body, said)


def never_comes_to_an_end(body: Body, said: Said) -> Said:
    runs_on = body["max_tokens"] == 160 and "tools" not in body
    return dataclasses.replace(said, finish="length") if runs_on else said


def ignores_max_tokens(body: Body, said: Said) -> Said:
    if body["max_tokens"] != 4:
        return said
    return dataclasses.replace(said, text=ANSWER * 3, usage={**said.usage, "completion_tokens": 50})


def hides_the_limit(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, finish="stop") if said.finish == "length" else said


# Tool calls


def instead_of_calls(make: Callable[[], Said]) -> Flaw:
    def flaw(body: Body, said: Said) -> Said:
        chosen = "tool_choice" in body
        return dataclasses.replace(make(), usage=said.usage) if said.calls and not chosen else said

    return flaw


HERMES = '<tool_call>\n{"name": "grep", "arguments": {"pattern": "Basket"}}\n</tool_call>'
calls_as_text = instead_of_calls(lambda: Said(HERMES))
calls_as_bare_json = instead_of_calls(lambda: Said('{"name": "grep", "arguments": {}}'))
drops_calls = instead_of_calls(lambda: Said(finish="tool_calls"))
malformed_arguments = instead_of_calls(lambda: pretending.raw_calling("grep", '{"pattern": "Ba'))
arguments_no_object = instead_of_calls(lambda: pretending.raw_calling("grep", '"Basket"'))
argument_missing = instead_of_calls(lambda: pretending.calling("grep", glob="*.py"))
unknown_tool = instead_of_calls(lambda: pretending.calling("search", pattern="Basket"))
never_looks = instead_of_calls(lambda: Said(ANSWER))


def says_stop_after_a_call(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, finish="stop") if said.calls else said


def breaks_streamed_calls(body: Body, said: Said) -> Said:
    return malformed_arguments(body, said) if body.get("stream") else said


def forgets_tool_results(body: Body, said: Said) -> Said:
    last = body["messages"][-1]["role"]
    return dataclasses.replace(said, text=ANSWER) if last == "tool" else said


def silent_after_tool_results(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, text="") if said.text == pretending.FOUND else said


def ignores_tool_choice(body: Body, said: Said) -> Said:
    if "tool_choice" not in body:
        return said
    general = "Where" not in body["messages"][-1]["content"]
    other = Said(ANSWER) if general else pretending.calling("grep", pattern="Basket")
    return dataclasses.replace(other, usage=said.usage)


# Counts, cache and identity


def cuts_prompts(body: Body, said: Said) -> Said:
    usage = {**said.usage, "prompt_tokens": min(said.usage["prompt_tokens"], 512)}
    return dataclasses.replace(said, usage=usage)


def counts_nothing(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, usage=None)


def caches_nothing(body: Body, said: Said) -> Said:
    usage = {**said.usage, "prompt_tokens_details": {"cached_tokens": 0}}
    return dataclasses.replace(said, usage=usage)


def other_weights(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, weights="sha256:" + "b" * 64)


def nameless_weights(body: Body, said: Said) -> Said:
    return dataclasses.replace(said, weights=None)


BOTH = {"tool calls": "problem", "tool calls, streamed": "problem"}
CHOICES = dict.fromkeys(
    ("tool_choice none", "tool_choice required", "tool_choice named"), "warning"
)


@pytest.mark.parametrize(
    ("flaw", "expected", "words"),
    [
        (ignores_stops, {"stop texts honoured": "problem"}, "is ignored"),
        (deletes_stops, {"stop texts honoured": "problem"}, "deleted and the answer goes on"),
        (keeps_stops, {"stop texts honoured": "warning"}, "left at its end"),
        (leaks_half_a_stop, {"stop texts honoured": "warning"}, "part of the stop text"),
        (answers_differently, {"stop texts honoured": "warning"}, "cannot be told"),
        (goes_on_after_the_turn, {"end of turn": "problem"}, "<|im_end|>"),
        (ends_at_our_stop_texts_only, {"end of turn": "warning"}, "our stop texts catch it"),
        (never_comes_to_an_end, {"end of turn": "warning"}, "came to an end"),
        (ignores_max_tokens, {"length limit": "problem"}, "is ignored"),
        (hides_the_limit, {"length limit": "warning"}, "not 'length'"),
        (calls_as_text, BOTH, "came as text"),
        (calls_as_bare_json, BOTH, "came as text"),
        (drops_calls, BOTH, "dropped a call"),
        (malformed_arguments, BOTH, "not JSON"),
        (arguments_no_object, BOTH, "no object"),
        (argument_missing, BOTH, "without pattern"),
        (unknown_tool, BOTH, "not there: 'search'"),
        (breaks_streamed_calls, {"tool calls, streamed": "problem"}, "not JSON"),
        (never_looks, dict.fromkeys(BOTH, "warning"), "without looking"),
        (says_stop_after_a_call, dict.fromkeys(BOTH, "warning"), "finish_reason is 'stop'"),
        (forgets_tool_results, {"tool results": "warning"}, "does not use"),
        (silent_after_tool_results, {"tool results": "problem"}, "empty"),
        (ignores_tool_choice, CHOICES, "ignores it silently"),
        (cuts_prompts, {"context window": "problem"}, "cuts silently"),
        (caches_nothing, {"prompt cache": "warning"}, "0 of"),
        (other_weights, {"weights": "problem"}, "b" * 64),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_flaw_is_named(flaw: Flaw, expected: dict[str, str], words: str) -> None:
    found = of_flaw(flaw)
    assert bad(found) == expected
    for name in expected:
        assert words in found[name].finding


def test_without_counts_what_cannot_be_told_is_said() -> None:
    found = of_flaw(counts_nothing)
    assert "does not count" in found["context window"].finding
    assert "does not count cached tokens" in found["prompt cache"].finding
    assert "could not be timed" in found["speed"].finding


def test_a_server_that_names_no_weights() -> None:
    found = of_flaw(nameless_weights, page={"weights": None})
    assert bad(found) == {"weights": "warning"}


def test_the_server_of_mlx_lm_is_warned_of_for_adapters() -> None:
    def named(body: Body, said: Said) -> Said:
        return dataclasses.replace(said, weights="0.32.2-0.32.4-Linux-x86_64-cpu")

    found = of_flaw(named, page={"weights": None})
    assert "default_model" in found["weights"].finding


# The context window


def test_no_claimed_window_is_measured_as_far_as_is_cheap() -> None:
    found = of_flaw(right, page={"context_window": None})["context window"]
    assert found.status == "warning"
    assert "nobody says" in found.finding
    assert "Set context_window" in found.advice


def test_a_window_larger_than_was_tried_is_said_to_be() -> None:
    def large(handler: Handler) -> None:
        body = json.loads(handler.server.bodies[-1])
        if len(pretending.words(body)) <= pretending.WINDOW:
            raise Passed
        handler.server.bodies[-1] = json.dumps({**body, "messages": [USER]}).encode()
        usage = {"prompt_tokens": len(pretending.words(body)), "completion_tokens": 1}
        pretending._streamed(handler, Said("x", usage=usage))

    found = of_flaw(right, large, page={"context_window": 100_000})["context window"]
    assert found.status == "ok"
    assert "more was not tried" in found.finding


USER = {"role": "user", "content": "x"}


def test_a_window_smaller_than_claimed() -> None:
    found = of_flaw(right, page={"context_window": 6000})["context window"]
    assert found.status == "problem"
    assert "says 6000" in found.finding


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def beyond(answer: Callable[[Handler, int], None]) -> Behaviour:
    """Prompts that are too long are answered so."""

    def behave(handler: Handler) -> None:
        size = len(pretending.words(json.loads(handler.server.bodies[-1])))
        if size <= pretending.WINDOW:
            raise Passed
        answer(handler, size)

    return behave


def test_a_prompt_beyond_the_window_that_is_accepted() -> None:
    def accept(handler: Handler, size: int) -> None:
        usage = {"prompt_tokens": size, "completion_tokens": 1}
        pretending._streamed(handler, Said("x", usage=usage))

    found = of_flaw(right, beyond(accept))
    assert bad(found) == {"context window": "problem"}
    assert "context_window = 2048" in found["context window"].advice
    assert bad(of_flaw(right, beyond(accept), context_window=2048)) == {}


def test_a_prompt_beyond_the_window_that_breaks_the_server() -> None:
    found = of_flaw(right, beyond(lambda handler, size: hang_up(handler)))
    assert bad(found) == {"context window": "problem"}
    assert "closes the connection" in found["context window"].finding


# Requests that are refused or broken off


def with_key(key: str, answer: Behaviour) -> Behaviour:
    """Requests that have this key are answered so."""

    def behave(handler: Handler) -> None:
        if key not in json.loads(handler.server.bodies[-1]):
            raise Passed
        answer(handler)

    return behave


def test_tool_choice_refused_is_a_warning_and_a_crash_a_problem() -> None:
    refused = of_flaw(right, with_key("tool_choice", status(400, "tool_choice is not supported")))
    assert bad(refused) == CHOICES
    assert "tool_choice is not supported" in refused["tool_choice none"].finding
    crashed = of_flaw(right, with_key("tool_choice", status(500, "oops")))
    assert bad(crashed) == dict.fromkeys(CHOICES, "problem")


def test_a_server_that_breaks_off_when_there_are_tools() -> None:
    found = of_flaw(right, with_key("tools", cut("Let me")))
    assert {"tool calls", "tool calls, streamed", "tool results"} <= set(bad(found))


def test_a_server_that_refuses_stop_texts() -> None:
    found = of_flaw(right, with_key("stop", status(400, "at most 0 stops")))
    assert bad(found) == {"stop texts honoured": "problem"}


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (html(), "no chat completion"),
        (status(500, "out of memory"), "answers 500: out of memory"),
        (status(401), "refused"),
        (status(404, "no such model"), "no such model"),
        (cut("Hel"), "breaks off"),
        (lambda handler: hang_up(handler), "closes the connection"),
        (lambda handler: pretending._streamed(handler, Said("")), "empty"),
    ],
)
def test_where_no_question_is_answered_nothing_else_is_asked(
    behaviour: Behaviour, words: str
) -> None:
    with pretending.endpoint(behaviour=behaviour) as server:
        found = findings(server.base_url)
        assert len(server.requests) == 1
    assert list(found) == ["endpoint", "chat", "not checked"]
    assert found["chat"].status == "problem"
    assert words in found["chat"].finding
    assert "stop honoured" in found["not checked"].finding


def test_a_silent_server_is_not_waited_for() -> None:
    with pretending.endpoint(behaviour=hang()) as server:
        found = findings(server.base_url, timeout=0.5)
    assert "sent nothing for 0.5 seconds" in found["chat"].finding


def test_an_endless_answer_is_left() -> None:
    def endless(handler: Handler) -> None:
        handler.begin_stream()
        while True:
            handler.chunk({"content": "again and again " * 1000})

    with pretending.endpoint(behaviour=endless) as server:
        found = findings(server.base_url)
    assert "does not end" in found["chat"].finding


def test_a_server_that_dies_meanwhile() -> None:
    def die(body: Body, said: Said) -> Said:
        if body.get("stop"):
            server.server.socket.close()
        return said

    server = pretending.endpoint(die)
    with server:
        found = findings(server.base_url)
    assert found["endpoint"].status == "ok"
    assert "stopped answering" in found["endpoint lost"].finding
    assert found["not checked"].status == "warning"


def test_a_model_that_is_not_listed() -> None:
    with pretending.endpoint() as server:
        found = findings(server.base_url, model="other")
    assert "not 'other'" in found["endpoint"].finding
    assert found["weights"].status == "warning"


def test_words_of_a_server_cannot_deceive_a_terminal() -> None:
    evil = status(500, "\x1b]0;owned\x07\x1b[2Jfine\nok  everything")
    with pretending.endpoint(behaviour=evil) as server:
        found = findings(server.base_url)
    assert "answers 500: fine ok everything" in found["chat"].finding


# The command


def test_the_command_says_ok_in_json(command: Command) -> None:
    with pretending.endpoint() as server:
        done = command("doctor", "--base-url", server.base_url, "--json")
    report = json.loads(done.stdout)
    assert report["type"] == "doctor"
    problems = [check for check in report["checks"] if check["status"] == "problem"]
    assert (done.returncode, report["ok"], problems) == (0, True, [])
    assert all(set(c) == {"name", "status", "finding", "advice"} for c in report["checks"])
    names = [check["name"] for check in report["checks"]]
    assert names[-5:] == ["BLAS", "rg", "php", "terminal", "folders"]


def test_the_command_says_what_to_do_and_exits_with_1(command: Command) -> None:
    with pretending.endpoint(calls_as_text) as server:
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
        assert len(machine_checks) == 5


def test_a_wrong_command_line(command: Command) -> None:
    done = command("doctor", "--base-url", "ftp://x")
    assert done.returncode == 2
    assert "is not a URL" in done.stderr


# This machine


def test_rg_php_and_blas_are_really_run() -> None:
    assert machine.rg().finding.startswith("ripgrep ")
    assert machine.rg().status == machine.php().status == "ok"
    assert "GFLOP/s" in machine.blas().finding


def test_php_without_php(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = machine.php()
    assert (found.status, "tree-sitter" in found.finding) == ("ok", True)
    assert "php-cli" in found.advice


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


linux = pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")


@linux
def test_folders_that_are_not_there_yet_are_not_made(home: Path) -> None:
    assert machine.folders().status == "ok"
    assert list(home.iterdir()) == []


@linux
def test_a_folder_that_others_may_write(home: Path) -> None:
    folder = home / "state" / "agent"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    found = machine.folders()
    assert found.status == "problem"
    assert f"chmod 700 {folder}" in found.advice


@linux
def test_a_session_that_others_may_read(home: Path) -> None:
    session = home / "state" / "agent" / "sessions" / "a.jsonl"
    session.parent.mkdir(parents=True)
    session.touch(mode=0o600)
    assert machine.folders().status == "ok"
    session.chmod(0o644)
    found = machine.folders()
    assert (found.status, str(session) in found.advice) == ("warning", True)
    session.parent.chmod(0o700)
    assert machine.folders().status == "ok"


@linux
def test_a_key_that_others_may_read(home: Path) -> None:
    settings = home / "config" / "agent" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('model = "x"\n')
    settings.chmod(0o644)
    assert machine.folders().status == "ok"
    settings.write_text('api_key = "x"\n')
    assert machine.folders().status == "warning"


@linux
def test_a_file_in_the_place_of_a_folder(home: Path) -> None:
    (home / "state").write_text("")
    assert "is not a folder" in machine.folders().finding


def in_terminal(tmp_path: Path, **variables: str) -> str:
    """What the terminal check says in a pseudo-terminal."""
    program = "from agent.doctor.machine import terminal; print(terminal())"
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=theirs, stdout=theirs, env=environment(tmp_path, **variables),
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 1000):
            said += piece
    except OSError:
        pass  # Linux: the other side is closed
    os.close(ours)
    assert done.wait() == 0
    return said.decode()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TERM": "xterm-256color", "COLUMNS": "100"}, "100 columns, colour (xterm-256color)"),
        ({"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}, "no colour"),
        ({"TERM": "xterm", "COLUMNS": "60"}, "60 columns wide"),
        ({"TERM": "dumb", "COLUMNS": "100"}, "TERM is dumb"),
        ({"TERM": "xterm", "PYTHONIOENCODING": "ascii"}, "encoding is ascii"),
    ],
)
def test_terminal(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    assert words in in_terminal(tmp_path, **variables)


# Real servers, one at a time


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
