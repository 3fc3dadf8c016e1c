"""What a search shows that finds nothing: the closest lines and files that may be seen."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tools import Workspace, grep, nearby

from .calls import told


@pytest.fixture
def proxy(tmp_path: Path) -> Workspace:
    files = {
        "limit/bucket.go": "package limit\n\n// Bucket fills at a rate.\ntype Bucket struct{}\n",
        "limit/new.go": "func newRateLimit(burst int) *Bucket {\n",
        "http/status.go": "func statusOf(err error) int {\n",
        "config.yaml": "hold_minutes: 20\nidle: 3\n",
        "docs/generate.md": "We generate and iterate.\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return Workspace(tmp_path)


def closest(result: str) -> list[str]:
    """The lines and files that are shown, without what follows them in their files."""
    first, *rest = result.splitlines()
    assert first == "No matches. Closest:"
    return [line for line in rest if "\t" not in line]


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("(?i)rate.?limiter", "limit/new.go:1: func newRateLimit(burst int) *Bucket {"),
        (r"\bholdMinutes\b", "config.yaml:1: hold_minutes: 20"),
        ("statuses", "http/status.go:1: func statusOf(err error) int {"),
        (r"(class|type)\s+Buckets\b", "limit/bucket.go:3: // Bucket fills at a rate."),
    ],
)  # fmt: skip
def test_other_forms_of_the_words_are_found(proxy: Workspace, pattern: str, first: str) -> None:
    assert closest(grep(proxy, pattern))[0] == first


def test_more_of_the_words_come_first_and_parts_of_words_do_not_count(proxy: Workspace) -> None:
    found = closest(grep(proxy, "rate_limits"))
    assert found == [
        "limit/new.go:1: func newRateLimit(burst int) *Bucket {", "limit/bucket.go", "limit/new.go"
    ]  # fmt: skip
    # "generate" has "rate" in it, but does not begin with it.
    assert not any("generate" in line for line in closest(grep(proxy, "rates of change")))


def test_files_that_are_named_so_are_found(proxy: Workspace) -> None:
    line = "docs/generate.md:1: We generate and iterate."
    assert closest(grep(proxy, "docs.?generation")) == [line, "docs/generate.md"]
    assert closest(grep(proxy, "newBuckets.go"))[-2:] == ["limit/bucket.go", "limit/new.go"]


def test_what_a_path_or_glob_excludes_is_shown_only_where_they_have_nothing(
    proxy: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "http" / "limits.go").write_text("var limits = 3\n")
    assert closest(grep(proxy, "limiter", "http"))[0] == "http/limits.go:1: var limits = 3"
    assert closest(grep(proxy, "limiter", glob="*.yaml"))[0] == "http/limits.go:1: var limits = 3"
    assert closest(grep(proxy, "hold_minutes", "http"))[0] == "config.yaml:1: hold_minutes: 20"


def test_nothing_close_is_plain(proxy: Workspace) -> None:
    structure = r"(class|type)\s+\w+Zebra"
    for pattern in ("zebra", r"^\d{9}$", r"\bx1\b", "TODO|FIXME|XXX|HACK", structure):
        assert grep(proxy, pattern) == "No matches."


def test_it_is_short_and_one_file_does_not_take_it_all(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"f{number}.txt").write_text("apples\n" * 50)
    found = closest(grep(Workspace(tmp_path), r"apples\d"))
    assert len(found) == nearby.SHOWN_LINES
    assert len({line.partition(":")[0] for line in found}) == 3


def test_what_may_not_be_read_is_not_close_either(proxy: Workspace, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ZEBRA_TOKEN=abc\n")
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "zebra.txt").write_text("zebra token\n")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "zebra_token.txt").write_text("zebra token\n")
    assert grep(proxy, "zebraTokens") == "No matches."
    closed = proxy.restricted(lambda path: path.startswith("config"))
    assert grep(closed, "holdMinutes") == "No matches."


@given(st.text(max_size=60))
def test_any_pattern_is_answered(pattern: str) -> None:
    result = told(grep, Workspace(Path(__file__).parent), pattern, "calls.py")
    assert re.match(r"No matches\.|Error: |\d+ match(es)? in 1 file", result)
