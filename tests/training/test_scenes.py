"""Scenes: small codebases written down whole, whose questions are really answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_training import checks, phrasing, scenes
from agent_training.asking import Row
from agent_training.phrasing import Asked, Scene

EXAMPLES = Path(phrasing.__file__).parents[1] / "examples"
FILES = {
    "composer.json": '{"name": "x/berths", "description": "Berths and who lies there",\n"a": 1}\n',
    "config/harbour.yaml": "hold_minutes: 20  # then it is free again\nmax_length: 34\n",
    "src/Berth.php": "<?php\nclass Berth\n{\n    public function free(): bool\n    {\n"
    "        return $this->ship === null;\n    }\n}\n",
    "src/Broken.php": "<?php\nclass Broken\n{\n    public $a = [1, 2;\n}\n",
}


def dialogue(copies: int = 1, **fields: Any) -> list[Row]:
    ask = Asked(fields.pop("q", "q"), fields.pop("do"), fields, "f")
    return scenes.rows(Scene(FILES, [ask]), copies, 0)


def calls(row: Row) -> list[tuple[str, dict[str, Any]]]:
    made = [call["function"] for turn in row["messages"] for call in turn.get("tool_calls", [])]
    return [(call["name"], json.loads(call["arguments"])) for call in made]


def answer(row: Row) -> str:
    return str(row["messages"][-1]["content"])


def test_an_answer_cites_the_line_that_proves_it() -> None:
    [row] = dialogue(do="words", words="hold minutes", a="It is held for `20` minutes.", see="20")
    assert answer(row) == "It is held for `20` minutes (`config/harbour.yaml:1`)."
    assert [name for name, _ in calls(row)] == ["grep"]


def test_a_time_of_day_above_the_proof_is_no_place() -> None:
    files = {"x.timer": "at=02:30:00\nkeep=true\n"}
    ask = Asked("q", "read", {"path": "x.timer", "a": "Yes", "see": "keep"}, "f")
    [row] = scenes.rows(Scene(files, [ask]), 1, 0)
    assert answer(row) == "Yes (`x.timer:2`)."


def test_a_result_that_only_names_the_file_is_followed_by_reading_it() -> None:
    asked = {"do": "find", "glob": "*.yaml", "a": "At most `34` metres", "see": "max_length"}
    [row] = dialogue(**asked)
    assert [name for name, _ in calls(row)] == ["find_files", "read_file"]
    assert answer(row) == "At most `34` metres (`config/harbour.yaml:2`)."


def test_what_no_readme_says_the_manifest_may_say() -> None:
    [row] = dialogue(do="about", a="It is about berths", see="Berths and who")
    assert [name for name, _ in calls(row)] == ["find_files", "grep"]
    assert answer(row) == "It is about berths (`composer.json:1`)."


def test_an_answer_that_no_result_proves_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'q'.*does not lead to src/Berth.php"):
        dialogue(do="words", words="minutes", a="Yes", see="=== null")


def test_a_change_looks_for_the_line_and_keeps_the_rest_of_it() -> None:
    line = "hold_minutes: 20  # then it is free again"
    asked = {"name": "hold_minutes", "path": "config/harbour.yaml", "line": line}
    [row] = dialogue(do="change", **asked, becomes=line.replace("20", "30"))
    assert [name for name, _ in calls(row)] == ["grep", "edit_file"]
    assert answer(row) == "Edited config/harbour.yaml at line 1."


def test_some_changes_meet_a_codebase_without_their_file() -> None:
    asked = {"path": "config/harbour.yaml", "old": "34", "new": "40"}
    said = {answer(row) for row in dialogue(copies=200, do="edit", q="34 to 40", **asked)}
    assert any(text.startswith("Nothing was changed: ") for text in said)
    assert any(text.startswith("Edited ") for text in said)


def test_a_real_syntax_error_is_in_the_answer() -> None:
    [row] = dialogue(do="lint", path="src/Broken.php")
    assert "rror" in answer(row) and "no syntax errors" not in answer(row)


def test_every_written_question_gives_a_row_that_passes() -> None:
    for scene in phrasing.load(EXAMPLES).scenes:
        for row in scenes.rows(scene, 1, 0):
            assert not checks.problem(row), row["messages"][0]
            assert row["messages"][-1]["role"] == "assistant" and calls(row)
