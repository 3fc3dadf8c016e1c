"""Plain technical text for the pretraining phase: documentation that Debian packages carry.

Packages are named in the recipe, fetched with `apt-get download`, unpacked without installing,
and reduced to paragraphs. On other systems `fetch` says that the phase needs Debian's archive.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

SKIPPED_TAGS = {"script", "style", "nav", "head", "footer", "header", "aside", "svg"}
BLOCK_TAGS = {"p", "div", "li", "tr", "pre", "dt", "dd", "h1", "h2", "h3", "h4", "br", "table"}
ROFF_REQUEST = re.compile(r"^[.']\s*(?P<name>[A-Za-z]+)\s?(?P<rest>.*)$")
ROFF_ESCAPE = re.compile(r"\\f(?:\[[^]]*\]|\(..|.)|\\[&|^/,%c]|\\s[-+]?\d")
ROFF_KEPT = {"B", "I", "BR", "RB", "IR", "RI", "BI", "IB", "SM", "SB", "SH", "SS", "IP", "TP"}
MAX_PARAGRAPH = 1200


def fetch(packages: list[str], folder: Path) -> list[Path]:
    """Download and unpack Debian packages below `folder`; one directory per package.

    Raises RuntimeError where apt-get or dpkg is absent or a package cannot be had.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise RuntimeError(
            "The pretraining text comes from Debian packages; run this step on Debian or Ubuntu."
        )
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = []
    for package in packages:
        target = folder / package
        if not target.is_dir():
            archives = folder / "archives"
            archives.mkdir(exist_ok=True)
            subprocess.run(["apt-get", "download", "-qq", package], cwd=archives, check=True)
            archive = max(archives.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
        unpacked.append(target)
    return unpacked


def documents(package: Path) -> Iterator[list[str]]:
    """Each document of an unpacked package as a list of paragraphs, in a stable order."""
    seen: set[str] = set()
    files = sorted(path for path in package.rglob("*") if path.is_file() and not path.is_symlink())
    for path in files:
        paragraphs = [p for p in _paragraphs(path) if _is_prose_or_code(p) and p not in seen]
        seen.update(paragraphs)
        if len(paragraphs) > 1:
            yield paragraphs


def _paragraphs(path: Path) -> list[str]:
    name = path.name.removesuffix(".gz")
    if name.endswith((".html", ".xhtml")):
        parser = _TextOfHtml()
        parser.feed(_read(path))
        text = "".join(parser.parts)
    elif "/man/" in path.as_posix():
        text = _text_of_roff(_read(path))
    else:
        return []
    blocks = (re.sub(r"[ \t]+", " ", block).strip() for block in re.split(r"\n\s*\n", text))
    return [re.sub(r"\s*\n\s*", " ", block)[:MAX_PARAGRAPH] for block in blocks if block]


def _read(path: Path) -> str:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return raw.decode("utf-8", "replace")


def _is_prose_or_code(paragraph: str) -> bool:
    letters = sum(character.isalpha() for character in paragraph)
    return len(paragraph) >= 40 and letters > 0.55 * len(paragraph) and "�" not in paragraph


def _text_of_roff(source: str) -> str:
    lines = []
    for line in source.splitlines():
        request = ROFF_REQUEST.match(line)
        if line.startswith(('.\\"', "'\\\"")):
            continue
        if request and request["name"] in {"PP", "P", "LP", "SH", "SS", "IP", "TP", "TH"}:
            lines.append("")
        if request:
            line = request["rest"].replace('"', "") if request["name"] in ROFF_KEPT else ""
        if line:
            lines.append(ROFF_ESCAPE.sub("", line).replace("\\-", "-").replace("\\e", "\\"))
    return "\n".join(lines)


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SKIPPED_TAGS:
            self._skipping += 1
        elif tag in BLOCK_TAGS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SKIPPED_TAGS:
            self._skipping = max(0, self._skipping - 1)
        elif tag in BLOCK_TAGS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)
