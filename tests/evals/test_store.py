"""The folder of a run."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.exits import AgentError, UsageError
from agent_evals import store
from agent_evals.judge import Verdict
from agent_evals.store import Row, Store
from agent_evals.transcript import Call

VERDICT = Verdict("called", True, True, None, 0, 0, False)


def result(key: str = "k", **more: object) -> Row:
    call = Call("grep", {"pattern": "x"}, "ok", "1 match")
    fields = {"id": "t1", "label": "tool", "subtype": "define", "ended": "success"}
    return store.row({**fields, "verdict": VERDICT, "calls": (call,), "key": key, **more})


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of ours grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    row = result(answer="ünï\ud800", model={"name": "m", "hash": "w"}, first_token_seconds=None)
    with Store(tmp_path) as kept:
        kept.describe({"suite": "s"})
        kept.add(row)
        assert kept.keys == {"k"}
    run = store.read(tmp_path)
    assert run.manifest == {"suite": "s"}
    (again,) = run.rows
    assert again.verdict == VERDICT and again.calls == row.calls and again.weights == "w"


def test_nothing_is_counted_twice(tmp_path: Path) -> None:
    lines = [result("a"), result("b"), result("a")]
    (tmp_path / "results.jsonl").write_bytes(b"".join(row.as_line() for row in lines))
    assert [row.key for row in store.rows(tmp_path)] == ["a", "b"]


def test_a_torn_line_is_overwritten(tmp_path: Path) -> None:
    with Store(tmp_path) as kept:
        kept.describe({})
        kept.add(result("a"))
    file = tmp_path / "results.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:-20])
    assert [row.key for row in store.rows(tmp_path)] == ["a"]
    with Store(tmp_path) as kept:
        kept.add(result("b"))
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == ["a", "b"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(UsageError, match="Another run writes into"):
        Store(tmp_path)
    with Store(tmp_path):
        pass


def test_fresh_moves_aside(tmp_path: Path) -> None:
    with Store(tmp_path) as kept:
        kept.describe({})
        kept.add(result("a"))
    for others in (1, 2):
        with Store(tmp_path, fresh=True) as kept:
            assert kept.keys == set()
            kept.add(result(f"b{others}"))
            kept.describe({})
        assert len(list(tmp_path.glob("results-*.jsonl"))) == others


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as kept:
        kept.describe({})
        kept.add(result("a"))
    before = (tmp_path / "results.jsonl").read_bytes()
    with Store(tmp_path) as kept:
        said = r"results\.jsonl cannot be written: File too large"
        with room_for(len(before) + 50), pytest.raises(AgentError, match=said):
            kept.add(result("b"))
        assert kept.keys == {"a"}
    assert (tmp_path / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", "[]", "is no manifest"),
        ("manifest.json", "{", "is no manifest"),
        ("results.jsonl", '{"id": "x"}\n', "line 1: this is no result"),
    ],
)
def test_folders_that_hold_something_else(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    with Store(tmp_path) as kept:
        kept.describe({})
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=said):
        store.read(tmp_path)
    with pytest.raises(UsageError, match=said):
        Store(tmp_path)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        store.read(tmp_path / "nowhere")
