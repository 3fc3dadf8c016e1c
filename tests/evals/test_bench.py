"""`agent bench` through the real agent, in front of a scripted endpoint."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.exits import Exit
from tests.evals.making import DEFINED, DIRECT_ROW, EDIT_ROW, GAUGE, TOOL_ROW, suite_file
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, raw_call, status, text

# `suite.spread` puts them in this order.
ROWS = (TOOL_ROW, DIRECT_ROW, EDIT_ROW)
LOOK = call("grep", pattern="class Gauge")
ANSWER = text("It is in src/gauge.py.")
EDIT = call("edit_file", path="src/gauge.py", old="LIMIT = 5", new="LIMIT = 9")


def bench(
    folder: Path, rows: Sequence[dict[str, Any]], script: Sequence[Behaviour], *flags: str
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the result rows; the endpoint is warmed up before the script begins."""
    suite = suite_file(folder, *rows)
    out = folder / "out"
    with ScriptedEndpoint([text("Hello."), *script]) as endpoint:
        where = ["--base-url", endpoint.base_url, "--suite", str(suite), "--out", str(out)]
        code = main(["bench", *where, "--concurrency", "1", *flags])
    return code, read(out / "results.jsonl")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_good_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (row,) = bench(tmp_path, [TOOL_ROW], [LOOK, ANSWER])
    assert code == Exit.OK
    assert row["question"] == TOOL_ROW["question"]
    assert row["calls"][0]["result"].startswith(f"{DEFINED}\n4\t    low = 0\n")
    assert row["answer"] == "It is in src/gauge.py."
    assert row["model"] == {"name": "scripted", "hash": "fp-scripted"}
    verdict = row["verdict"]
    assert verdict["decided"] and verdict["right_call"] and verdict["right_answer"]
    shown = capsys.readouterr().out
    assert "scripted (fp-scripted)" in shown and "never-call" in shown
    assert (tmp_path / "out" / "report.txt").read_text() == shown
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["suite"] == "little"


def test_edits_happen_in_a_copy(tmp_path: Path) -> None:
    _, rows = bench(tmp_path, [EDIT_ROW], [EDIT, text("Done.")])
    assert rows[0]["verdict"]["right_call"] is True
    assert (tmp_path / "fixtures" / "meter" / "src" / "gauge.py").read_text() == GAUGE


def test_wrong_runs_are_judged_wrong(tmp_path: Path) -> None:
    script = [raw_call("grep", '{"q": 1}'), ANSWER]
    _, (row,) = bench(tmp_path, [TOOL_ROW], script)
    assert row["verdict"]["decision"] == "malformed"
    assert row["verdict"]["malformed"] == 1
    assert row["calls"][0]["valid"] is False


def test_repetition_counts_though_the_guard_ends_it(tmp_path: Path) -> None:
    _, (row,) = bench(tmp_path, [TOOL_ROW], [LOOK])
    assert row["ended"] == "looped"
    assert row["verdict"]["looped"] is True
    assert row["verdict"]["repeated"] >= 2
    assert row["verdict"]["right_answer"] is False


def test_fail_under_decides_the_exit_code(tmp_path: Path) -> None:
    code, rows = bench(tmp_path, [DIRECT_ROW, TOOL_ROW], [ANSWER], "--fail-under", "60")
    assert [row["verdict"]["decision"] for row in rows] == ["answered", "answered"]
    assert code == Exit.ERROR


def test_a_limit_takes_both_kinds(tmp_path: Path) -> None:
    _, rows = bench(tmp_path, ROWS, [ANSWER], "--limit", "2")
    assert {row["label"] for row in rows} == {"tool", "direct"}


def test_a_server_error_is_an_outcome_while_the_endpoint_lives(tmp_path: Path) -> None:
    _, (row,) = bench(tmp_path, [DIRECT_ROW], [status(500, "boom")])
    assert row["verdict"]["decision"] == "error"


def test_a_dead_endpoint_stops_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = suite_file(tmp_path, *ROWS)
    with ScriptedEndpoint([ANSWER]) as endpoint:
        gone = endpoint.base_url
    out = tmp_path / "out"
    flags = ["--base-url", gone, "--model", "m", "--suite", str(suite), "--out", str(out)]
    assert main(["bench", *flags]) == Exit.UNAVAILABLE
    assert "0 of 3 results are in" in capsys.readouterr().err
    assert read(out / "results.jsonl") == []


def test_other_weights_stop_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def other(handler: Any) -> None:
        handler.begin_stream()
        choice = {"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}
        handler.data({"choices": [choice], "system_fingerprint": "fp-other"})
        handler.wfile.write(b"data: [DONE]\n\n")

    code, rows = bench(tmp_path, ROWS, [ANSWER, other])
    assert code == Exit.ERROR
    assert len(rows) == 1
    assert "fp-other" in capsys.readouterr().err


def test_results_are_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = suite_file(tmp_path, *ROWS)
    (tmp_path / "results.jsonl").write_text("precious\n")
    flags = ["--suite", str(suite), "--out", str(tmp_path)]
    assert main(["bench", "--base-url", "http://127.0.0.1:9", "--model", "m", *flags]) == Exit.USAGE
    assert "already holds results" in capsys.readouterr().err
    assert (tmp_path / "results.jsonl").read_text() == "precious\n"


def test_bad_input_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--suite", "nothing"]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("agent: --suite: there is no suite or file")
