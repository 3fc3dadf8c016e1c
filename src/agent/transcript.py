"""A session as a document: Markdown, or an HTML page that loads nothing and runs nothing."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from agent.answer import plain
from agent.records import Record

# Fields that every record has or that say nothing to a reader.
_PLUMBING = frozenset({"kind", "time", "turn", "messages"})
_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem;
       color-scheme: light dark; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0; }
.question, .answer { padding: .1rem 1rem; border-left: .25rem solid; margin: 1rem 0; }
.question { border-color: #36c; } .answer { border-color: #393; font-family: inherit; }
.call pre { font-size: 13px; } .note { color: gray; font-size: 13px; }
.answer pre, .question pre { font-family: inherit; }"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Entry:
    """A paragraph of the document."""

    kind: Literal["question", "call", "answer", "note"]
    heading: str
    text: str = ""


def markdown(title: str, session: Iterable[Record]) -> str:
    """The session as Markdown; answers stand in it as the model wrote them."""
    parts = [f"# {_line(title)}"]
    for entry in entries(session):
        if entry.kind == "question":
            parts.append("## Question\n\n" + _quoted(entry.text))
        elif entry.kind == "answer":
            parts.append(f"## {_line(entry.heading)}\n\n{entry.text}")
        elif entry.kind == "call":
            parts.append(f"Tool call: {_code(entry.heading)}\n\n{_fenced(entry.text)}")
        else:
            parts.append(f"*{_line(entry.heading)}* {_code(entry.text) if entry.text else ''}")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def html(title: str, session: Iterable[Record]) -> str:
    """The session as a page of its own: everything in it is text."""
    body = "\n".join(_html(entry) for entry in entries(session))
    return _PAGE.format(title=escape(_line(title)), style=_STYLE, body=body)


def entries(session: Iterable[Record]) -> Iterator[Entry]:
    """What a reader wants to see of a session, without anything that could deceive a terminal."""
    waiting = False
    for record in session:
        kind = record["kind"]
        if kind == "asked" and waiting:
            yield Entry("note", "The run ended without an answer.")
        if kind in ("asked", "answered"):
            waiting = kind == "asked"
        yield _entry(kind, record)
    if waiting:
        yield Entry("note", "The run ended without an answer.")


def _entry(kind: str, record: Record) -> Entry:
    if kind == "asked":
        return Entry("question", "Question", _text(record.get("question")))
    if kind == "answered":
        subtype, message = record.get("subtype"), _text(record.get("message"))
        heading = "Answer" if subtype == "success" else f"Answer ({subtype}: {message})"
        return Entry("answer", _line(heading), _text(record.get("answer")))
    if kind in ("called", "denied"):
        arguments = json.dumps(record.get("arguments", {}), ensure_ascii=False)
        heading = f"{record.get('tool')} {arguments} ({record.get('outcome')})"
        return Entry("call", _line(heading), _text(record.get("result")))
    rest = {name: value for name, value in record.items() if name not in _PLUMBING}
    when = _text(record.get("time"))[:19].replace("T", " ")
    return Entry("note", _line(f"{kind}, {when}"), _line(json.dumps(rest, ensure_ascii=False)))


def _html(entry: Entry) -> str:
    heading, text = escape(entry.heading), escape(entry.text)
    if entry.kind == "call":
        return f'<details class="call"><summary>{heading}</summary><pre>{text}</pre></details>'
    if entry.kind == "note":
        return f'<p class="note">{heading} {text}</p>'
    return f'<section class="{entry.kind}"><h2>{heading}</h2><pre>{text}</pre></section>'


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    return " ".join(plain(text).split())


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _code(text: str) -> str:
    marks = "`" * (_longest_run(text) + 1)
    return f"{marks} {text} {marks}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
