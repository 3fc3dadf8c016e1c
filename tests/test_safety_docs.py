"""docs/safety.md names a test for every promise, and every test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT)
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in DOCUMENT.splitlines()
    if line.startswith("| ") and "::" in line
]


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_named_test_exists(file: str) -> None:
    module = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    there = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    there |= {
        target.id
        for node in module.body if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    assert {name for other, name in NAMED if other == file} <= there


def test_every_row_has_a_promise_and_its_proof() -> None:
    assert len(ROWS) >= 19
    for property_, promised, _, proven in ROWS:
        assert property_ and promised
        assert re.fullmatch(r"(`[\w/]+\.py::(test_|Test)\w+` ?)+", proven), property_


def test_every_test_of_the_adversarial_suite_is_named() -> None:
    folder = ROOT / "tests" / "safety"
    functions = {
        (f"safety/{file.name}", name)
        for file in folder.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert functions - set(NAMED) <= {("safety/test_endpoint.py", "test_what_is_one_is_not")}
