"""Where requests and the user's key go, and what a failing endpoint cannot do."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent import connect
from agent.assistant import Assistant
from agent.connect import Endpoint
from agent.exits import AgentError, UsageError
from agent.serving import local
from agent.settings import Settings
from tests.safety.conftest import KEY, Attack, Trap
from tests.scripted_endpoint import ScriptedEndpoint, call, cut, cut_call, status, text

WRITE = call("write_file", path="new.txt", content="once\n")


@contextmanager
def redirecting(to: str) -> Iterator[str]:
    """An endpoint that answers whatever it is asked with a redirect."""

    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@pytest.mark.parametrize("model", [None, "m"])
def test_a_redirect_is_not_followed_with_the_key(trap: Trap, model: str | None) -> None:
    with redirecting(f"{trap.hostile}/models") as base_url:
        wanted = Settings(base_url=base_url, model=model, api_key=KEY, retries=0)

        async def ask(place: Endpoint) -> str:
            assistant = Assistant(wanted, place, trap.root)
            try:
                return (await assistant.ask("x")).subtype
            finally:
                await assistant.aclose()

        if model is None:
            with pytest.raises(AgentError, match="answers 307"):
                connect.connect(wanted)
        else:
            assert asyncio.run(ask(connect.connect(wanted))) == "unavailable"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/v1", "http://[fe80::1]/", "http://metadata.google.internal./",
        "http://METADATA/v1", "169.254.169.254", "http://2852039166/v1", "http://0xA9FEA9FE/v1",
        "http://0251.0376.0251.0376/v1", "http://169.254.43518/", "http://[fd00:ec2::254]/v1",
        "http://[::ffff:169.254.169.254]/v1", "http://100.100.100.200/",
        "file:///etc/passwd", "http://a\0b/", "http://", "http://x:99999/", "http://a b/", "ftp://x",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        connect.normalised(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/v1", "https://example.org/v1", "http://192.168.1.2:11434/v1",
            "http://[::1]:1/v1", "http://10:80/v1", "http://models.internal/v1"],
)  # fmt: skip
def test_what_is_one_is_not(url: str) -> None:
    assert connect.normalised(url) == url


def test_without_a_word_nothing_leaves_the_machine() -> None:
    assert Settings().base_url is None
    started = local.start("embedded", None)
    started.close()
    assert started.base_url.startswith("http://127.0.0.1:")
    assert len(started.token) >= 16


def test_a_proxy_of_the_environment_gets_nothing(
    trap: Trap, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, trap.hostile)
    assert attack([text("Hello.")]).results[0].subtype == "success"
    with ScriptedEndpoint([text("Hello.")]) as endpoint:
        assert connect.connect(Settings(base_url=endpoint.base_url)).model == "scripted"


@pytest.mark.parametrize("trouble", [status(503, retry_after="0"), status(429, retry_after="0")])
def test_a_request_is_repeated_and_its_write_is_not(
    trap: Trap, attack: Attack, trouble: object
) -> None:
    fight = attack([WRITE, trouble, text("Done.")], permission_mode="yolo", retries=2)
    assert [(c.name, c.outcome) for c in fight.results[0].tool_calls] == [("write_file", "ok")]
    assert fight.results[0].subtype == "success"


def test_half_a_write_is_never_made(trap: Trap, attack: Attack) -> None:
    before = trap.inside()
    arguments = json.dumps({"path": "new.txt", "content": "x" * 50})
    halves = [cut_call("write_file", arguments[:n]) for n in (0, 1, 10, 30, len(arguments) - 1)]
    whole = cut_call("write_file", arguments)
    fight = attack(*([half] for half in (*halves, whole)), permission_mode="yolo", retries=3)
    assert trap.inside() == before
    assert all(result.is_error and not result.tool_calls for result in fight.results)


def test_a_run_that_breaks_off_after_a_write_is_no_success(trap: Trap, attack: Attack) -> None:
    result = attack([WRITE, cut("I wro")], permission_mode="yolo", retries=3).results[0]
    assert (result.subtype, len(result.tool_calls)) == ("truncated", 1)
