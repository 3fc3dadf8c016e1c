"""Who is let in, and what is refused before anything else is read."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.serving import app, server, weights
from agent.serving.engine import Engine
from agent.serving.running import BindError
from agent.serving.security import MAX_BODY, AsgiApp
from tests.serving.driving import Reply, ask, post

BODY = json.dumps(ask(max_tokens=1)).encode()


@pytest.fixture(scope="module")
def engine(lfm2_folder: Path) -> Iterator[Engine]:
    engine = Engine(lambda: weights.load(str(lfm2_folder)))
    engine.wait_ready()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def guarded(engine: Engine) -> AsgiApp:
    return app.build(engine, "127.0.0.1", "secret")


def reply(served: AsgiApp, body: bytes = BODY, **headers: str) -> Reply:
    headers = {"authorization": "Bearer secret", **headers}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(post(served, body, **sent))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:8080", "[::1]:8080", "127.0.0.1:9"]
)
def test_our_own_names_are_welcome(guarded: AsgiApp, host: str) -> None:
    assert reply(guarded, host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1@evil", "[", "10.0.0.1"]
)
def test_a_foreign_host_is_refused(guarded: AsgiApp, host: str) -> None:
    assert reply(guarded, host=host).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_a_foreign_origin_is_refused(guarded: AsgiApp, origin: str) -> None:
    assert reply(guarded, origin=origin).status == 403


def test_our_own_origin_is_welcome(guarded: AsgiApp) -> None:
    assert reply(guarded, host="localhost:80", origin="http://localhost:80").status == 200


def test_no_page_may_read_answers(guarded: AsgiApp) -> None:
    assert not any(name.startswith("access-control") for name in reply(guarded).headers)


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic secret", "Bearer sécret"])
def test_the_token_is_required(guarded: AsgiApp, given: str) -> None:
    refused = reply(guarded, authorization=given)
    assert refused.status == 401
    assert refused.json["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_only_json_is_read(guarded: AsgiApp, kind: str) -> None:
    assert reply(guarded, content_type=kind).status == 415


def test_a_body_too_large_is_refused_announced_or_not(guarded: AsgiApp) -> None:
    assert reply(guarded, content_length=str(MAX_BODY + 1)).status == 413
    assert reply(guarded, content_length="9" * 50).status == 413
    assert reply(guarded, body=b" " * (MAX_BODY + 1)).status == 413


def test_every_answer_names_the_weights(guarded: AsgiApp, engine: Engine) -> None:
    weights_hash = engine.wait_ready().identity.weights
    for answer in (reply(guarded), reply(guarded, host="evil"), reply(guarded, body=b"{")):
        assert answer.headers["x-agent-weights"] == weights_hash


def test_an_address_for_everybody_needs_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::"):
        with pytest.raises(BindError, match="--token"):
            server.serve(host=host)


def test_a_wildcard_address_accepts_addresses_but_no_foreign_names(engine: Engine) -> None:
    everywhere = app.build(engine, "0.0.0.0", "secret")
    assert reply(everywhere, host="192.168.1.5:8080").status == 200
    assert reply(everywhere, host="evil.example").status == 403
