"""`agent bench report`: one page about a run that needs nothing but a browser, and its figures."""

import argparse
import base64
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from agent.answer import plain
from agent.exits import AgentError, Exit
from agent.render import note
from agent_evals import plots, store, tables
from agent_evals.controls import controls, missing
from agent_evals.figures import Named
from agent_evals.paired import needed
from agent_evals.report import meaning
from agent_evals.score import DECISIONS, by_configuration
from agent_evals.store import Row

_HERE = Path(__file__).parent
_PAGE = "report.html"
_EXCERPT = 200  # characters of a question in the list
_RIGHT = {"tool": "called", "direct": "answered"}


def main(argv: Sequence[str]) -> int:
    """Run `agent bench report ARGV`; 0.

    Raises:
        UsageError: there is no run in the folder, or the figures cannot be written.
        AgentError: the extra `bench` is not installed, or the page cannot be written.
    """
    options = _parser().parse_args(argv)
    page = options.out or options.run / _PAGE
    manifest = store.manifest(options.run)
    scores = by_configuration(store.rows(options.run))
    others = controls(store.rows(options.run))
    _write(page, options.run, manifest, scores, others)
    note(f"page: {page}")
    if options.plots:
        plots.save(manifest, scores, others, options.plots)
        note(f"figures: {options.plots}")
    return Exit.OK


def _write(page: Path, run: Path, manifest: dict[str, Any], scores: Named, others: Named) -> None:
    """The page, whole or not at all; transcripts pass through one at a time."""
    each = list(scores.values())
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    template = _template("page.html")
    made = template.stream(
        manifest=manifest,
        meaning=meaning(scores, others),
        hint=missing(),
        scores=each,
        tables=tables,
        decisions=tables.decisions([*each, *others.values()]),
        outcomes=DECISIONS,
        right=_RIGHT,
        figures=plots.inline(manifest, scores, others),
        entries=partial(_entries, run),
        transcripts=partial(_transcripts, run),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    made.enable_buffering(1_000)
    fresh = page.with_name(f"{page.name}.new")
    try:
        made.dump(str(fresh), encoding="utf-8")
        fresh.replace(page)
    except OSError as error:
        raise AgentError(f"{page} cannot be written: {error.strerror}.") from None


def _template(name: str) -> Any:
    """Escapes all that is put into it, without what a terminal or a reader could be deceived by."""
    jinja2 = needed("jinja2")
    return jinja2.Environment(
        autoescape=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
        loader=jinja2.FileSystemLoader(_HERE),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template(name)


def _entries(run: Path) -> Iterator[str]:
    """A line of JSON for each result: what the list shows and is filtered by."""
    wanted = ("id", "label", "subtype", "configuration", "epoch")
    for row in store.rows(run):
        fields = {name: getattr(row, name) for name in wanted}
        question = " ".join(row.question.split())[:_EXCERPT]
        yield _json({**fields, "question": question, **row.verdict.as_row()})


def _transcripts(run: Path) -> Iterator[str]:
    """A line of JSON for each result, in the same order: all that is known of it."""
    yield from (_json(_fields(row)) for row in store.rows(run))


def _fields(row: Row) -> dict[str, Any]:
    fields = asdict(row)
    del fields["key"]
    return fields


def _json(value: object) -> str:
    """On one line; nothing in it can end the script element that it stands in."""
    return json.dumps(_inert(value), ensure_ascii=False).replace("<", "\\u003c")


def _inert(value: object) -> object:
    """With plain texts, and no numbers that JSON does not have."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(name)): _inert(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_inert(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent bench report",
        description="Make a page about a run: figures, tables and every transcript, in one file.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"default: {_PAGE} in the folder")
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="also keep the figures there, as SVG and PNG"
    )
    return parser
