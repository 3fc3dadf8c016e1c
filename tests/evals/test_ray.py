"""Cases spread over a Ray cluster of two nodes: the same results as here, and none lost."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.exits import Exit
from agent_evals import ray_executor, station
from agent_evals.store import read
from tests.evals.test_run import ANSWER, SIX, asked, flags, results
from tests.scripted_endpoint import Handler, ScriptedEndpoint, text

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
HELLOS = [text("Hello.")] * 2


@pytest.fixture
def cluster() -> Iterator[Any]:
    ray_executor.load()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        made.add_node(num_cpus=1)
        yield made
    finally:
        made.shutdown()


def on(cluster: Any) -> list[str]:
    return ["--executor", "ray", "--ray-address", cluster.address]


def kill_worker(cluster: Any, node: Any) -> None:
    (raylet,) = node.all_processes["raylet"]
    command = ["pgrep", "-P", str(raylet.process.pid), "-f", "ray::Station"]
    found = subprocess.run(command, capture_output=True, text=True)
    for pid in found.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def kill_node(cluster: Any, node: Any) -> None:
    kill_worker(cluster, node)
    cluster.remove_node(node, allow_graceful=False)


@needs_ray
def test_the_same_results_as_here(tmp_path: Path, cluster: Any) -> None:
    command = ["bench", "--suite", "smoke", "--limit", "6", "--out"]
    assert main([*command, str(tmp_path / "here")]) == Exit.OK
    assert main([*command, str(tmp_path / "there"), *on(cluster)]) == Exit.OK
    here, there = read(tmp_path / "here"), read(tmp_path / "there")
    assert len(here.rows) == 6
    assert {row.key: (row.verdict, row.answer, row.calls) for row in here.rows} == {
        row.key: (row.verdict, row.answer, row.calls) for row in there.rows
    }
    assert [there.manifest[name] for name in ("executor", "suite")] == ["ray", "smoke"]
    (costs,) = there.manifest["configurations"]
    assert costs["served"] == "embedded"
    assert costs["peak_memory_bytes"] > costs["disk_bytes"] > 1_000_000


@needs_ray
def test_either_goes_on_with_the_results_of_the_other(tmp_path: Path, cluster: Any) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        command = flags(tmp_path, endpoint)
        assert main([*command, *on(cluster)]) == Exit.OK
        once = len(asked(endpoint))
        assert main(command) == Exit.OK
        assert len(asked(endpoint)) == once == 6
        file = tmp_path / "out" / "results.jsonl"
        lines = file.read_text().splitlines(keepends=True)
        for kept, more in ((2, []), (4, on(cluster))):
            file.write_text("".join(lines[:kept]))
            assert main([*command, *more]) == Exit.OK
            assert {row["key"] for row in results(tmp_path)} == {
                json.loads(line)["key"] for line in lines
            }
        assert len(asked(endpoint)) == 6 + 4 + 2


@needs_ray
@pytest.mark.parametrize("lose", [kill_worker, kill_node])
def test_what_is_lost_is_tried_elsewhere(
    tmp_path: Path, cluster: Any, lose: Callable[[Any, Any], None]
) -> None:
    both, lost = threading.Barrier(2), threading.Event()

    def losing(handler: Handler) -> None:
        if both.wait() == 0:
            (node,) = cluster.worker_nodes
            lose(cluster, node)
            lost.set()
        lost.wait()
        ANSWER(handler)

    with ScriptedEndpoint([*HELLOS, losing, losing, ANSWER]) as endpoint:
        assert main([*flags(tmp_path, endpoint), *on(cluster)]) == Exit.OK
        questions = asked(endpoint)
    assert sorted(row["id"] for row in results(tmp_path)) == sorted(str(row["id"]) for row in SIX)
    assert all(row["ended"] == "success" for row in results(tmp_path))
    assert len(questions) == 7  # one was being tried there


@needs_ray
def test_a_case_that_kills_every_worker_ends_the_run(
    tmp_path: Path, cluster: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def killing(handler: Handler) -> None:
        for node in cluster.list_all_nodes():
            kill_worker(cluster, node)

    with ScriptedEndpoint([*HELLOS, ANSWER, killing]) as endpoint:
        code = main([*flags(tmp_path, endpoint), *on(cluster)])
    assert code == Exit.UNAVAILABLE
    message = capfd.readouterr().err
    assert "tried 3 times" in message and "was lost. " in message and "of 6 results" in message


@needs_ray
def test_a_node_with_another_program_is_refused(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(station, "code", lambda: "other")
    with ScriptedEndpoint([ANSWER]) as endpoint:
        assert main([*flags(tmp_path, endpoint), *on(cluster)]) == Exit.ERROR
        assert asked(endpoint) == []
    assert "has another agent; install what is installed here there" in capfd.readouterr().err


@needs_ray
def test_no_cluster_at_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        there = ["--executor", "ray", "--ray-address", "127.0.0.1:1"]
        assert main([*flags(tmp_path, endpoint), *there]) == Exit.UNAVAILABLE
    assert "No Ray cluster answers at 127.0.0.1:1; " in capsys.readouterr().err


def test_without_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with ScriptedEndpoint([ANSWER]) as endpoint:
        assert main([*flags(tmp_path, endpoint), "--executor", "ray"]) == Exit.ERROR
    assert "This needs ray; to install it: " in capsys.readouterr().err


def test_an_address_needs_the_executor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedEndpoint([ANSWER]) as endpoint:
        assert main([*flags(tmp_path, endpoint), "--ray-address", "host:1"]) == Exit.USAGE
    assert "--ray-address needs --executor ray." in capsys.readouterr().err
