"""The speed command: its table and its sections' honesty, never its figures."""

from pathlib import Path

import pytest

from agent.cli import main
from agent.exits import Exit
from agent_evals import speed
from agent_evals.speed import conversation, grep, start
from agent_evals.speed.measure import Line, Options, SpeedError, output, python, row
from agent_evals.speed.terminal import Terminal


def test_a_line_is_judged_from_its_side() -> None:
    slow = Line("start", 3.0, 2.0, "s", "bare imports", "<=", 1.2)
    fast = Line("matmul", 230.0, 7.7, "GFLOP/s", "stock MLX", ">=", 20)
    assert row(slow) == ["start", "3 s", "bare imports 2 s", "1.50x", "<= 1.2x", "missed"]
    assert row(fast) == [
        "matmul", "230 GFLOP/s", "stock MLX 7.7 GFLOP/s", "29.87x", ">= 20x", "met",
    ]  # fmt: skip


def test_a_section_that_fails_hides_no_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["bench", "speed", "--only", "serving,grep", "--model", str(tmp_path / "none")])
    shown = capsys.readouterr().out
    assert code == Exit.ERROR
    assert "serving could not be measured: no model at" in shown
    assert "grep tool, installed packages" in shown


def test_an_unknown_section_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "speed", "--only", "nothing"]) == Exit.USAGE
    assert f"the sections are {', '.join(speed.SECTIONS)}" in capsys.readouterr().err


def test_the_grep_section_compares_equal_work() -> None:
    (line,) = grep.lines(Options(repeats=1))
    assert line.ours > 0 and line.rival > 0


def test_the_start_section_sees_the_request(tmp_path: Path) -> None:
    server = start.Recorder()
    with server:
        import threading

        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert start.until_request(server, str(tmp_path)) > 0
        server.shutdown()


def test_the_conversation_section_sees_what_a_person_sees(tmp_path: Path) -> None:
    assert conversation.until_prompt(tmp_path) > 0
    streaming, idle = conversation.echoes(tmp_path, 1)
    assert streaming > 0 and idle > 0
    assert conversation.growth_per_turn(tmp_path, turns=3, warm=1) < 100_000


def test_a_terminal_that_ends_says_what_it_showed_last(tmp_path: Path) -> None:
    with (
        Terminal("http://127.0.0.1:9/v1", tmp_path / "nowhere") as terminal,
        pytest.raises(SpeedError, match="There is no directory"),
    ):
        terminal.until(terminal.shows("never"))


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(SpeedError, match="no such luck"):
        output(python("-c", "raise SystemExit('no such luck')"))
