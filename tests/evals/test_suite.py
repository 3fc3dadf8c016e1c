"""A suite is checked when it is read, and says where it is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.exits import UsageError
from agent_evals import suite
from tests.evals.making import ABSTAIN_ROW, DIRECT_ROW, EDIT_ROW, TOOL_ROW, case, suite_file


def test_a_good_suite_loads(tmp_path: Path) -> None:
    loaded = suite.load(str(suite_file(tmp_path, TOOL_ROW, DIRECT_ROW, EDIT_ROW)))
    assert [c.id for c in loaded.cases] == ["t1", "d1", "e1"]
    assert loaded.name == "little"
    assert (loaded.fixtures / "meter").is_dir()


def test_our_own_suite_loads() -> None:
    assert len(suite.load(suite.DEFAULT).cases) >= 1200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evidnce": []}, "line 2: unknown key 'evidnce'"),
        ({"question": None}, "line 2: question: "),
        ({"question": "  "}, "line 2: question: "),
        ({"label": "maybe"}, "line 2: label: "),
        ({"id": "d1"}, "line 2: the id 'd1' is already that of line 1"),
        ({"fixture": "elsewhere"}, "line 2: there is no fixture"),
        ({"fixture": "../meter"}, "is no path inside the fixture"),
        ({"tools": ["bash"]}, "line 2: tools.0: no tool 'bash'; the tools are grep"),
        ({"tools": []}, "needs the acceptable"),
        ({"evidence": []}, 'needs "evidence" or "after"'),
        ({"label": "direct"}, 'a "direct" row has no tools'),
        ({"answer": [["("]]}, "is no regular expression"),
        ({"answer": [[]]}, "line 2: answer.0: "),
        ({"gold": {"name": "grep"}}, "line 2: 'gold.arguments' is missing"),
        ({"after": [{"path": "a.txt"}]}, "exactly one of content, contains and lacks"),
        ({"offered": ["bash"]}, "line 2: offered.0: no tool 'bash'"),
        ({"split": "train"}, "line 2: split: "),
        ({"label": "abstain"}, 'an "abstain" row has no tools'),
        (
            {"label": "abstain", "tools": [], "evidence": [], "gold": None, "answer": []},
            'an "abstain" row needs the "answer"',
        ),
        ({"canary": "x"}, "line 2: unknown key 'canary'"),
    ],
)
def test_a_wrong_row_is_named(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = suite_file(tmp_path, DIRECT_ROW, {**TOOL_ROW, **changes})
    with pytest.raises(UsageError) as error:
        suite.load(str(path))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "has no rows"), (b"\xff\n", "is not UTF-8"), (b"{\n", "line 1: Invalid JSON")],
)
def test_a_file_that_is_no_suite(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says):
        suite.load(str(path))


def test_an_unknown_suite_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no suite or file 'nothing'; .* discrimination"):
        suite.load("nothing")


def test_a_header_with_a_canary_is_no_case(tmp_path: Path) -> None:
    path = suite_file(tmp_path, {"canary": "c0ffee"}, TOOL_ROW)
    loaded = suite.load(str(path))
    assert (loaded.canary, [c.id for c in loaded.cases]) == ("c0ffee", ["t1"])
    assert suite.load(str(suite_file(tmp_path / "plain", TOOL_ROW))).canary is None


def test_a_split_is_a_part_of_the_suite(tmp_path: Path) -> None:
    loaded = suite.load(str(suite_file(tmp_path, TOOL_ROW, {**DIRECT_ROW, "split": "test"})))
    assert [c.id for c in loaded.of("dev")] == ["t1"]
    assert [c.id for c in loaded.of("test")] == ["d1"]
    assert [c.id for c in loaded.of(None)] == ["t1", "d1"]


def test_a_split_without_cases_is_told(tmp_path: Path) -> None:
    loaded = suite.load(str(suite_file(tmp_path, TOOL_ROW)))
    with pytest.raises(UsageError, match="--split: the suite little has no test cases"):
        loaded.of("test")


def test_a_part_of_a_suite_mixes_all_labels() -> None:
    tools = [case(json.loads(json.dumps(TOOL_ROW)), id=f"t{i}") for i in range(9)]
    directs = [case(DIRECT_ROW, id=f"d{i}") for i in range(4)]
    abstains = [case(ABSTAIN_ROW, id=f"a{i}") for i in range(2)]
    part = suite.spread([*tools, *directs, *abstains], 9)
    assert sorted(c.label for c in part) == ["abstain"] * 2 + ["direct"] * 3 + ["tool"] * 4
    assert part == suite.spread([*abstains, *directs, *tools], 9)
    assert len(suite.spread(tools, 100)) == 9
