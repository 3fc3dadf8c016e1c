"""The page about a run and its figures, as files."""

import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agent_evals.cli import main
from agent_evals.page import _json
from agent_evals.store import Row, Store
from tests.evals.making import grep, scored
from tests.evals.test_report import MANIFEST

# What a model may answer, a file may contain and a server may call itself.
HOSTILE = (
    "</script><script>hacked=1</script><img src=x onerror=hacked=1><!--<script>"
    "<svg onload=hacked=1>\x1b[31m\x07\x9b1m\u202egnp.exe\u2028&lt;b&gt;{{ 7*7 }}'\"`"
    "${hacked=1}\x00"
)
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FIGURES = {"decisions", "subtypes", "costs", "loops"}
_numbers = count()


def rows(cases: int = 8, **more: Any) -> list[Row]:
    """As many cases, with something of everything."""
    outcomes = [
        (
            "tool",
            "called",
            {"right_call": True, "calls": (grep("class Gauge"),), "subtype": "find"},
        ),
        ("tool", "malformed", {"ended": "unparsed_tool_call"}),
        ("direct", "answered", {"answer": "A gauge measures pressure."}),
        ("direct", "called", {"calls": (grep("a"),) * 3, "looped": True, "subtype": "meta"}),
        ("direct", "error", {"ended": "empty"}),
        ("abstain", "answered", {"subtype": "missing_file", "decided": True}),
    ]
    return [
        scored(
            label, decision, key=f"key-{next(_numbers)}", **{"question": f"Why {n}?", **own, **more}
        )
        for n in range(cases)
        for label, decision, own in [outcomes[n % len(outcomes)]]
    ]


def folder(path: Path, results: Sequence[Row], **manifest: Any) -> Path:
    """A run's folder with these results."""
    with Store(path) as store:
        for row in results:
            store.add(row)
        store.describe({**MANIFEST, **manifest})
    return path


def hostile(path: Path) -> Path:
    call = grep(HOSTILE, HOSTILE, **{HOSTILE: [HOSTILE, float("inf")]})
    texts = dict.fromkeys(("question", "answer", "message", "family", "fixture"), HOSTILE)
    bad = rows(6, configuration=HOSTILE, **texts) + rows(1, calls=(call,), subtype=HOSTILE)
    return folder(path, bad, suite=HOSTILE, configurations=[{"name": HOSTILE, HOSTILE: HOSTILE}])


def report(run: Path, *options: str) -> str:
    assert main(["report", str(run), *options]) == 0
    return (run / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_one_file_holds_everything(tmp_path: Path) -> None:
    page = report(folder(tmp_path, rows(20)))
    for text in (
        "always-call",
        "never-call",
        "bag of words",
        "malformed",
        "missing_file",
        "142 MB",
    ):
        assert text in page
    tags = Tags(page).found
    assert not [tag for tag, _ in tags if tag in ("iframe", "object", "embed", "base", "img")]
    links = [value for _, attrs in tags for name in ("src", "href") if (value := attrs.get(name))]
    assert all(link.startswith(("#", "data:,")) for link in links)
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert sum(tag == "svg" for tag, _ in tags) == len(FIGURES)


def test_what_models_and_files_say_is_inert(tmp_path: Path) -> None:
    page = report(hostile(tmp_path))
    tags = [tag for tag, _ in Tags(page).found]
    assert tags.count("script") == 3 and "img" not in tags
    assert not HIDDEN.search(page)
    assert "49" not in re.findall(r"<h1>.*</h1>", page)[0]


def test_no_text_ends_the_element_that_holds_it() -> None:
    line = _json({"a": "</script><!--", "b": [float("nan")], "c\x1b": "\ud800\n\u2028"})
    assert "<" not in line and "\n" not in line and "NaN" not in line.replace('"nan"', "")


def test_figures_for_papers(tmp_path: Path) -> None:
    report(folder(tmp_path, rows(20)), "--plots", str(tmp_path / "plots"))
    made = sorted((tmp_path / "plots").iterdir())
    assert {path.stem for path in made} == FIGURES and len(made) == 2 * len(FIGURES)
    for path in made:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "results",
    [[], rows(1), rows(12, configuration="") + rows(12, configuration="$x^{2$", epoch=1)],
    ids=["none", "one", "two configurations"],
)
def test_small_runs_have_a_page_too(tmp_path: Path, results: Sequence[Row]) -> None:
    assert "Every case" in report(folder(tmp_path, results, configurations=[]))


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder(tmp_path / "run", rows())
    (tmp_path / "file").write_text("mine")
    for options, code, said in (
        ([str(tmp_path)], 2, "is not the folder of a run"),
        ([str(run), "--out", str(tmp_path / "no" / "page.html")], 1, "cannot be written"),
        ([str(run), "--plots", str(tmp_path / "file")], 2, "cannot be written"),
    ):
        assert main(["report", *options]) == code
        told = capsys.readouterr().err.strip().splitlines()
        assert said in told[-1] and "Traceback" not in "".join(told)
    assert (tmp_path / "file").read_text() == "mine"


def test_without_the_extra_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    assert main(["report", str(folder(tmp_path, rows()))]) == 1
    assert "needs matplotlib; to install it: " in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
