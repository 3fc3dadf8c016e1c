"""What a run looks like, where no terminal is needed to tell."""

import pytest

from agent.render import headline


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("1 match in 1 file\na.py:3: x\n4\ty", "1 match in 1 file"),
        ("No matches. Closest:\na.py:3: x\nb.py", "No matches. Closest: a.py:3: x"),
        ("No matches.", "No matches."),
        ("nothing:", "nothing:"),
        ("", ""),
    ],
)
def test_a_result_is_shown_as_its_first_line(result: str, shown: str) -> None:
    assert headline(result) == shown
