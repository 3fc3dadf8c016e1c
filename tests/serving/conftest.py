"""Tiny models, engines on them, and a real endpoint, shared by the tests of this package."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from agent.serving import local, weights
from agent.serving.engine import Engine
from tests.serving import tiny
from tests.serving.driving import Driver


@pytest.fixture(scope="session")
def lfm2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny-lfm2", "lfm2", context=100_000)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(scope="session")
def folders(lfm2_folder: Path, llama_folder: Path) -> dict[str, Path]:
    return {"lfm2": lfm2_folder, "llama": llama_folder}


@pytest.fixture(scope="session", params=["lfm2", "llama"])
def driver(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Iterator[Driver]:
    """An engine of each architecture, driven without HTTP."""
    folder = str(folders[request.param])
    engine = Engine(lambda: weights.load(folder))
    yield Driver(engine)
    engine.close()


@pytest.fixture(scope="session")
def endpoint(lfm2_folder: Path) -> Iterator[local.LocalEndpoint]:
    endpoint = local.start(str(lfm2_folder))
    endpoint.wait_ready()
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="session")
def client(endpoint: local.LocalEndpoint) -> OpenAI:
    return OpenAI(base_url=endpoint.base_url, api_key=endpoint.token, max_retries=0)
