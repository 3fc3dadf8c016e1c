"""`agent bench compare` on runs written by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.exits import Exit
from agent_evals.comparison import compare
from agent_evals.store import Row
from tests.evals.making import scored


def cases(
    wrong: Sequence[str] = (), name: str = "one", epochs: int = 1, n: int = 20, **more: Any
) -> list[Row]:
    """Cases of two labels and three subtypes; those named are decided wrong in every epoch."""
    rows = []
    for i in range(n):
        for label, right, other in (
            ("tool", "called", "answered"),
            ("direct", "answered", "called"),
        ):
            case = f"{label}-{i}"
            decision = other if case in wrong else right
            subtype = "define" if i % 2 else ("usages" if label == "tool" else "meta")
            rows += [
                scored(
                    label,
                    decision,
                    id=case,
                    epoch=epoch,
                    subtype=subtype,
                    right_call=decision == "called",
                    right_answer=decision == right,
                    configuration=name,
                    **more,
                )
                for epoch in range(epochs)
            ]
    return rows


def folder(place: Path, rows: Sequence[Row], sha256: str = "0" * 64, suite: str = "little") -> Path:
    place.mkdir()
    (place / "manifest.json").write_text(json.dumps({"suite": suite, "suite_sha256": sha256}))
    keyed = (replace(row, key=f"{row.id} {row.configuration} {row.epoch}") for row in rows)
    (place / "results.jsonl").write_bytes(b"".join(row.as_line() for row in keyed))
    return place


LOST = [f"tool-{i}" for i in range(12)]


def runs(place: Path, before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    return [str(folder(place / "a", before)), str(folder(place / "b", after))]


def test_a_loss_is_shown_by_case_and_subtype(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = runs(tmp_path, cases(), cases([*LOST, "direct-1"], name="two"))
    assert main(["bench", "compare", *where]) == Exit.OK
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert "A: one" in lines and "B: two" in lines and "40 cases in both" in lines
    (recall,) = [line.split() for line in lines if line.startswith("recall")]
    assert recall[1:4] == ["100.0", "40.0", "-60.0"]
    assert recall[-2:] == ["0", "12"]
    assert "decision worse, define: tool-1, direct-1, tool-3, tool-5, tool-7, tool-9" in shown
    assert "right call worse, usages: tool-0" in shown
    assert "two is worse beyond chance in: balanced, recall, right call" in lines[-1]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("wrong", "flags", "code"),
    [
        ([], ["--no-regression"], Exit.OK),
        (["tool-3"], ["--no-regression"], Exit.OK),
        (LOST, ["--no-regression"], Exit.ERROR),
        (LOST, ["--fail-under", "70"], Exit.OK),
        (LOST, ["--fail-under", "70.1"], Exit.ERROR),
    ],
)
def test_the_exit_code_is_for_ci(
    wrong: list[str], flags: list[str], code: Exit, tmp_path: Path
) -> None:
    where = runs(tmp_path, cases(), cases(wrong))
    assert main(["bench", "compare", *where, *flags]) == code


def test_the_same_run_differs_in_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(folder(tmp_path / "a", cases()))
    assert main(["bench", "compare", where, where, "--no-regression"]) == Exit.OK
    shown = capsys.readouterr().out
    assert "cannot be told apart" in shown and "worse," not in shown


def test_a_gain_mirrors_a_loss() -> None:
    there, back = compare(cases(), cases(LOST)), compare(cases(LOST), cases())
    for one, other in zip(there.lines, back.lines, strict=True):
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.difference.p == other.difference.p
    assert there.regressions and not back.regressions
    assert next(line for line in back.lines if line.name == "recall").difference.is_better


def test_epochs_are_paired_and_averaged() -> None:
    before = cases(epochs=4)
    after = [
        replace(row, verdict=replace(row.verdict, decided=row.epoch > 0)) for row in cases(epochs=4)
    ]
    found = compare(before, after)
    assert found.lines[0].difference.value == pytest.approx(-0.25)
    assert len(found.pairs) == 40


def test_configurations_of_one_run_can_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(folder(tmp_path / "a", [*cases(name="f16"), *cases(LOST, name="4bit")]))
    both = ["--configuration-a", "f16", "--configuration-b", "4bit"]
    assert main(["bench", "compare", run, run, *both]) == Exit.OK
    assert "4bit is worse" in capsys.readouterr().out
    assert main(["bench", "compare", run, run]) == Exit.USAGE
    assert "say --configuration-a f16 or 4bit" in capsys.readouterr().err
    assert main(["bench", "compare", run, run, "--configuration-a", "f32"]) == Exit.USAGE
    assert "has no 'f32', but f16, 4bit" in capsys.readouterr().err


def test_an_unfinished_run_passes_no_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = runs(tmp_path, cases(), cases()[:10])
    assert main(["bench", "compare", *where]) == Exit.OK
    assert "30 results are in one of the two only" in capsys.readouterr().out
    assert main(["bench", "compare", *where, "--no-regression"]) == Exit.ERROR
    assert "B lacks 30 of A's results" in capsys.readouterr().err


def test_different_suites_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder(tmp_path / "a", cases())
    other = folder(tmp_path / "b", cases(), "1" * 64, "seed")
    assert main(["bench", "compare", str(one), str(other)]) == Exit.USAGE
    assert "of the suite little and" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, []])
def test_what_is_no_run_is_told_in_a_sentence(
    content: list[Row] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a"
    if content is not None:
        folder(place, content)
    assert main(["bench", "compare", str(place), str(place)]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("agent: ")


def test_runs_without_a_common_case_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = cases(n=1)
    assert main(["bench", "compare", *runs(tmp_path, rows[:1], rows[1:])]) == Exit.USAGE
    assert "no finished case in common" in capsys.readouterr().err
