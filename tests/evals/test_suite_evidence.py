"""Every question of the embedded suite can be answered the way it is judged."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent_tools import TOOLS, WRITES, Workspace

EVALS = Path(__file__).parents[2] / "evals"
FIXTURES = EVALS / "fixtures"
SUITE = EVALS / "suites" / "embedded.jsonl"
CALLS = {tool.__name__: tool for tool in TOOLS}

FIELDS = {
    "id", "fixture", "question", "label", "subtype", "pair", "lang", "tools", "evidence",
    "answer", "after", "gold",
}  # fmt: skip
SUBTYPES = {
    "tool": {
        "define", "usages", "subclasses", "list", "find", "read", "repo", "count", "exists",
        "lint", "write", "edit",
    },
    "direct": {
        "concept", "comparison", "practice", "howto", "snippet", "answered", "meta",
        "out-of-scope", "write-snippet", "file-general",
    },
}  # fmt: skip

Row = dict[str, Any]


def rows() -> list[Row]:
    return [json.loads(line) for line in SUITE.read_text(encoding="utf-8").splitlines()]


def labelled(label: str) -> list[Row]:
    return [row for row in rows() if row["label"] == label]


def run_gold(row: Row, root: Path) -> str:
    gold = row["gold"]
    return CALLS[gold["name"]](Workspace(root), **gold["arguments"])


def holds(condition: Row, root: Path) -> bool:
    text = (root / condition["path"]).read_text(encoding="utf-8")
    if "contains" in condition:
        return condition["contains"] in text
    if "lacks" in condition:
        return condition["lacks"] not in text
    return bool(condition["content"] == text)


def test_rows_are_well_formed() -> None:
    for row in rows():
        assert row.keys() <= FIELDS, row["id"]
        assert row["question"].strip(), row["id"]
        assert row["subtype"] in SUBTYPES[row["label"]], row["id"]
        assert (FIXTURES / row["fixture"]).is_dir(), row["id"]
        for alternatives in row.get("answer", []):
            assert alternatives, row["id"]
            for pattern in alternatives:
                re.compile(pattern)


def test_ids_and_questions_are_unique() -> None:
    assert [i for i, n in Counter(row["id"] for row in rows()).items() if n > 1] == []
    assert [q for q, n in Counter(row["question"] for row in rows()).items() if n > 1] == []


def test_labels_are_balanced() -> None:
    share = len(labelled("tool")) / len(rows())
    assert len(rows()) >= 240
    assert 0.45 <= share <= 0.55


def test_every_pair_has_one_row_of_each_label() -> None:
    pairs: dict[str, list[str]] = {}
    for row in rows():
        if "pair" in row:
            pairs.setdefault(row["pair"], []).append(row["label"])
    assert len(pairs) >= 30
    assert {pair: sorted(labels) for pair, labels in pairs.items()} == {
        pair: ["direct", "tool"] for pair in pairs
    }


def test_about_a_tenth_is_not_in_english() -> None:
    foreign = sum(row["lang"] != "en" for row in rows())
    assert 0.07 <= foreign / len(rows()) <= 0.15


def test_direct_rows_ask_for_nothing() -> None:
    for row in labelled("direct"):
        assert (row["tools"], row["evidence"]) == ([], []), row["id"]
        assert "gold" not in row, row["id"]


@pytest.mark.parametrize("row", labelled("tool"), ids=lambda row: row["id"])
def test_the_gold_call_gives_the_evidence(row: Row, tmp_path: Path) -> None:
    root = FIXTURES / row["fixture"]
    assert row["gold"]["name"] in row["tools"]
    assert set(row["tools"]) <= CALLS.keys()
    if row["gold"]["name"] in WRITES:
        root = Path(shutil.copytree(root, tmp_path / row["fixture"]))
        assert not all((root / c["path"]).exists() and holds(c, root) for c in row["after"])

    result = run_gold(row, root)

    assert row["evidence"]
    assert [e for e in row["evidence"] if e not in result] == []
    assert [c for c in row.get("after", []) if not holds(c, root)] == []
