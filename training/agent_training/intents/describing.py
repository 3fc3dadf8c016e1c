"""Say in a sentence what a piece of text is, in words that stand in it."""

import re
from collections.abc import Sequence

_QUOTES = re.compile(r"^\s*[rRuUbB]*(\"\"\"|''')")
_COMMENT = re.compile(r"^\s*(//+|#+!?|/?\*+/?|--)\s?")
_MARKUP = re.compile(r"^[=\-~^*#\"'`+.:\s]*$")
_DEFINED = re.compile(
    r"^\s*(?:(?:abstract|final|export|default|async|public|protected|private|static)\s+)*"
    r"(?:class|interface|trait|enum|def|function|func|type)\s+(?:\([^)]*\)\s*)?&?(\w+)"
)
_NOISE = ("copyright", "license", "licence", "(c)", "eslint", "@ts-", "declare(", "usr/bin", "!/",
          "+build", "go:build", "file is part",
    "distributed", "coding:", "vim:", "pylint", "mypy:")  # fmt: skip


def first_sentence(text: str) -> str:
    sentence = re.split(r"(?<=[.!?:])\s", " ".join(text.split()), maxsplit=1)[0]
    return sentence.rstrip(" .:") if 12 <= len(sentence) <= 160 else ""


def docstring(lines: Sequence[str]) -> str:
    """The first sentence of the docstring that follows a definition, or ''."""
    for number, line in enumerate(lines[:8]):
        if opened := _QUOTES.match(line):
            rest = [line[opened.end() :], *lines[number + 1 :]]
            return first_sentence(_until_gap(rest, opened.group(1)))
        if number and not line.rstrip().endswith((",", "(", ":")) and line.strip():
            break
    return ""


def header(lines: Sequence[str]) -> str:
    """The first sentence of a file's leading docstring or comment, or ''."""
    if lines and _QUOTES.match(lines[0]):
        return docstring(lines)
    block: list[str] = []
    for line in lines[:25]:
        if line.strip() in ("<?php", "/**", "/*", "") and not block:
            continue
        if not _COMMENT.match(line):
            break
        text = _COMMENT.sub("", line).strip()
        if not text or text.startswith("@") or any(word in text.lower() for word in _NOISE):
            if block:
                break
            continue
        block.append(text)
    return first_sentence(" ".join(block))


def heading(lines: Sequence[str]) -> str:
    """The title of a Markdown or reStructuredText document, or ''."""
    for line in lines[:20]:
        text = line.strip().lstrip("#").strip()
        if text and not _MARKUP.match(line) and text[0] not in "<[!.|`>:":
            return text if len(text) <= 80 and "`" not in text else ""
    return ""


def paragraph(lines: Sequence[str]) -> str:
    """The first sentence of prose after the title, or ''."""
    block: list[str] = []
    for line in lines:
        text = line.strip()
        prose = bool(text) and text[0].isalpha() and len(text.split()) > 4 and "://" not in text
        if prose or (block and text and not _MARKUP.match(text)):
            block.append(text)
        elif block:
            if found := first_sentence(" ".join(block)):
                return found
            block = []
    return first_sentence(" ".join(block))


def defined(lines: Sequence[str]) -> list[str]:
    """Names of the classes and functions that the lines define."""
    found = (_DEFINED.match(line) for line in lines)
    return list(dict.fromkeys(match.group(1) for match in found if match))


_PLAIN_WORDS = frozenset(
    """what does this that with from have when where which there their about file readme documented
    according docs mention says tell need must should could would please check look find under into
    your ours here work make made want know give than then them they will just like only also over
    many much long some anything something section""".split()  # noqa: SIM905
)


def closest(lines: Sequence[str], question: str) -> str:
    """The one short line that shares most words with a question, by their first letters, or ''."""
    wanted = _stems(question)
    scored = [(len(wanted & _stems(line)), line.strip()) for line in lines]
    best = max((score for score, line in scored if len(line) <= 110), default=0)
    found = [line for score, line in scored if score == best and "`" not in line]
    return found[0] if best and len(found) == 1 and len(found[0]) <= 110 else ""


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{4,}", re.sub(r"\S+\.\w+", " ", text.lower()))
    return {word[:5] for word in words if word not in _PLAIN_WORDS}


def describe(path: str, lines: Sequence[str]) -> str:
    """One or two sentences about a file, '' if nothing can be said."""
    if path.lower().endswith((".md", ".rst", ".txt")) or "readme" in path.lower():
        title, prose = heading(lines).rstrip("!?."), paragraph(lines)
        return " ".join(f"{part}." for part in (title, prose) if part)
    parts = []
    if said := header(lines):
        parts.append(f"{said}.")
    if names := defined(lines):
        parts.append("It defines " + ", ".join(f"`{name}`" for name in names[:5]) + ".")
    return " ".join(parts)


def _until_gap(lines: Sequence[str], quotes: str) -> str:
    block: list[str] = []
    for line in lines:
        text, closing, _ = line.partition(quotes)
        if not text.strip() and block:
            break
        if text.strip():
            block.append(text.strip())
        if closing:
            break
    return " ".join(block)
