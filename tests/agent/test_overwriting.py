"""A whole file is replaced only by a model that has seen it."""

from pathlib import Path

from tests.agent.conftest import Run
from tests.scripted_endpoint import call, text


def test_a_file_that_was_not_read_is_not_replaced(run: Run, codebase: Path) -> None:
    before = (codebase / "src" / "price.py").read_bytes()
    outcome = run(
        [call("write_file", path="src/price.py", content="gone"), text("It exists already.")],
        permission_mode="accept-edits",
    )
    assert outcome.calls() == [("write_file", "failed")]
    assert (codebase / "src" / "price.py").read_bytes() == before


def test_after_reading_it_may_be_replaced(run: Run, codebase: Path) -> None:
    outcome = run(
        [
            call("read_file", path="src/price.py"),
            call("write_file", path="./src/price.py", content="new"),
            text("Done."),
        ],
        permission_mode="accept-edits",
    )
    assert outcome.calls() == [("read_file", "ok"), ("write_file", "ok")]
    assert (codebase / "src" / "price.py").read_text().strip() == "new"


def test_a_new_or_empty_file_needs_no_reading(run: Run, codebase: Path) -> None:
    (codebase / "empty.txt").touch()
    outcome = run(
        [
            call("write_file", path="new.txt", content="a"),
            call("write_file", path="empty.txt", content="b"),
            text("Done."),
        ],
        permission_mode="accept-edits",
    )
    assert outcome.calls() == [("write_file", "ok"), ("write_file", "ok")]
