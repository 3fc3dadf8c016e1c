"""`agent ask` as a user has it: the embedded model, real tools, a real codebase."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Command, result

# A codebase that every installation has, and no training row knows.
TENACITY = Path(str(importlib.util.find_spec("tenacity").origin)).parent  # type: ignore[union-attr]


def test_a_question_about_a_real_codebase_is_answered_by_looking(agent: Command) -> None:
    done = agent("ask", "where is RetryError defined?", "--output-format", "json", cwd=TENACITY)
    told = result(done)
    assert done.returncode == 0, done.stderr
    assert told["type"] == "result"
    assert told["subtype"] == "success"
    assert [call["outcome"] for call in told["tool_calls"]] == ["ok"]
    assert told["tool_calls"][0]["name"] == "grep"
    assert "__init__.py" in told["result"]
    assert told["model"]["name"]
    assert len(told["model"]["hash"]) >= 12


def test_a_general_question_is_answered_without_looking(agent: Command) -> None:
    done = agent("ask", "What is dependency injection?", "--output-format", "json", cwd=TENACITY)
    assert done.returncode == 0, done.stderr
    assert result(done)["tool_calls"] == []
    assert re.search("depend|from outside", result(done)["result"].lower())


def test_only_the_answer_is_on_standard_output(agent: Command, codebase: Path) -> None:
    done = agent("ask", "show me pyproject.toml", cwd=codebase)
    assert done.returncode == 0
    assert "read_file" in done.stderr
    assert "read_file" not in done.stdout
    assert "pyproject.toml" in done.stdout


def test_streamed_events_tell_the_whole_run_in_order(agent: Command, codebase: Path) -> None:
    done = agent("ask", "list all classes", "--output-format", "stream-json", cwd=codebase)
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds[0] == "init"
    assert kinds[-1] == "result"
    assert kinds.index("tool_use") < kinds.index("tool_result") < kinds.index("message")


def test_a_write_without_permission_is_denied_told_and_not_done(
    agent: Command, codebase: Path
) -> None:
    question = 'create notes.md with the content "call Mira"'
    done = agent("ask", question, "--output-format", "json", cwd=codebase)
    assert done.returncode == 50
    assert not (codebase / "notes.md").exists()
    assert result(done)["permission_denials"]


def test_a_write_with_permission_is_done(agent: Command, codebase: Path) -> None:
    question = 'create notes.md with the content "call Mira"'
    done = agent("ask", question, "--permission-mode", "accept-edits", cwd=codebase)
    assert done.returncode == 0, done.stderr
    assert (codebase / "notes.md").read_text().strip() == "call Mira"


def test_an_edit_changes_one_place_of_one_file(agent: Command, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_bytes(b"import os\r\n\r\nDEBUG = True\r\nPORT = 80")
    question = "in config.py replace `DEBUG = True` with `DEBUG = False`"
    done = agent("ask", question, "--permission-mode", "accept-edits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "config.py").read_bytes() == b"import os\r\n\r\nDEBUG = False\r\nPORT = 80"


def test_php_is_linted(agent: Command) -> None:
    from tests.end_to_end.conftest import FIXTURES

    question = "does app/Imports/CsvImporter.php have syntax errors?"
    done = agent("ask", question, cwd=FIXTURES / "depot")
    assert done.returncode == 0, done.stderr
    assert "CsvImporter.php" in done.stdout
    assert "php_lint" in done.stderr


def test_a_batch_answers_every_question_in_order(agent: Command, codebase: Path) -> None:
    questions = ["how many classes are there?", "what is a closure?", "where is find_station?"]
    lines = [json.dumps({"id": n, "question": text}) for n, text in enumerate(questions)]
    done = agent("ask", "--batch", "-", cwd=codebase, stdin="\n".join(lines))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert rows[0]["tool_calls"]
    assert not rows[1]["tool_calls"]


def test_standard_input_is_context(agent: Command, codebase: Path) -> None:
    done = agent("ask", "please answer this:", cwd=codebase, stdin="What is a closure?\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_question_alone_may_come_from_standard_input(agent: Command, codebase: Path) -> None:
    done = agent("ask", cwd=codebase, stdin="What is a unit test?\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_nothing_is_left_behind(agent: Command, codebase: Path, home: Path) -> None:
    files = {path.name for path in codebase.rglob("*")}
    agent("ask", "what is a queue?", cwd=codebase)
    assert agent("ps", cwd=codebase).stdout == ""
    assert {path.name for path in codebase.rglob("*")} == files


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "told"),
    [
        (["ask", ""], "", 2, "question"),
        (["ask", "-C", "nowhere", "hi"], "", 2, "nowhere"),
        (["ask", "--nonsense", "hi"], "", 2, "--nonsense"),
        (["ask", "--permission-mode", "root", "hi"], "", 2, "root"),
        (["ask", "hi"], b"\xff\xfe\x00", 2, "UTF-8"),
        (["ask", "--model", "nobody/nothing", "hi"], "", 77, "nobody/nothing"),
        (["ask", "--base-url", "http://127.0.0.1:9/v1", "-m", "x", "hi"], "", 77, "127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_its_exit_code(
    agent: Command,
    codebase: Path,
    arguments: list[str],
    stdin: str | bytes,
    code: int,
    told: str,
) -> None:
    done = agent(*arguments, cwd=codebase, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_that_does_not_fit_names_both_numbers(agent: Command, codebase: Path) -> None:
    done = agent("ask", "what is this?", cwd=codebase, stdin="lorem ipsum " * 4000)
    assert done.returncode == 54
    assert "2048" in done.stderr or "2,048" in done.stderr
