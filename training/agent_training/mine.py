"""A quick symbol index of one codebase: what questions about it can name."""

import json
import re
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from agent_tools import ripgrep
from agent_training.settings import Setting, parse

LANGUAGES = {
    "Python": "py", "PHP": "php", "JavaScript": "js", "TypeScript": "ts", "Go": "go",
    "Markdown": "md", "HTML": "html", "CSS": "css", "YAML": "yml", "JSON": "json",
    "shell": "sh", "reStructuredText": "rst", "TOML": "toml", "XML": "xml", "SQL": "sql",
}  # fmt: skip
_CODE = (".py", ".php", ".js", ".ts", ".tsx", ".mjs", ".cjs", ".go", ".inc", ".phtml")
_MODIFIERS = r"(?:(?:abstract|final|export|default|declare|readonly|pub|public|static)\s+)*"
_CLASS = re.compile(rf"^\s*{_MODIFIERS}(class|interface|trait|enum|struct)\s+(\w+)(.*)")
_GO_TYPE = re.compile(r"^type\s+(\w+)\s+(struct|interface)\b")
_FUNCTION = re.compile(
    r"^(\s*)(?:(?:export|default|async|public|protected|private|static|final|abstract)\s+)*"
    r"(?:def|function|func)\s+(\([^)]*\)\s*)?(\w+)\s*(\(.*)"
)
_CONSTANT = re.compile(
    r"^\s*(?:(?:export|public|protected|private|final|static|const|var|let)\s+)*"
    r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{4,})\s*(?::[^=]+)?=\s*(.+?)[;,]?\s*$"
)
_BASES = re.compile(r"^\s*\(([^)]*)\)|\bextends\s+([\w\\., ]+?)(?=\s+implements|\s*\{|\s*$)")
_IMPLEMENTS = re.compile(r"\bimplements\s+([\w\\, ]+)")
_IMPORT = re.compile(
    r"^\s*(?:from\s+([\w.]+)\s+import|import\s+([\w.]+)|use\s+([\w\\]+)"
    r"|import\s.*?from\s+['\"]([^'\"]+)['\"]|.*\brequire\(['\"]([^'\"]+)['\"]\)"
    r"|\s+\"([\w./-]+)\"$)"
)
_MESSAGE = re.compile(
    r"(?:raise|throw|Error\(|Exception\(|errors\.New\(|warn\w*\(|error\()[^'\"]*"
    r"(['\"])((?:(?!\1)[^\\\n]){12,70})\1"
)
_WORD = re.compile(r"[A-Z]?[a-z]{4,}")
_COMMON_WORDS = frozenset(
    """self this that test tests value values name names type types none null true false list dict
    string array object function class return import from with public private static args kwargs
    data item items index result results length number default param params should could would have
    been will when then than what which where each other only also some same into before after
    create make call called using used uses must does done more most such case cases line lines
    text first last next prev start stop begin info base main core util utils helper helpers impl
    foreach array bool boolean float integer interface extends implements abstract protected void
    undefined const super init method methods module package assert equal equals expected""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Symbol:
    """One definition that the canonical define pattern finds."""

    name: str
    kind: str
    """`class` (or interface, trait, enum, struct), `function` or `constant`."""
    file: str
    line: int
    text: str
    owner: str = ""
    bases: tuple[str, ...] = ()
    value: str = ""


@dataclass
class Codebase:
    """What can be asked about one folder of code; all lists are sorted or in file order."""

    name: str
    root: Path
    files: list[str] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    """(literal text, file)."""
    words: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    """Two or three words that name something together: `retry limit` for `retryLimit`."""
    settings: list[Setting] = field(default_factory=list)
    manifest_packages: list[str] = field(default_factory=list)
    line_counts: dict[str, int] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Symbol]:
        return [symbol for symbol in self.symbols if symbol.kind == kind]

    @property
    def directories(self) -> list[str]:
        found = {str(Path(file).parent) for file in self.files}
        return sorted(found - {"."})

    @property
    def extensions(self) -> list[str]:
        counted = Counter(Path(file).suffix[1:] for file in self.files)
        return sorted(ext for ext, _ in counted.most_common(8) if ext)

    @property
    def languages(self) -> list[str]:
        return [language for language, ext in LANGUAGES.items() if ext in self.extensions]


def mine(name: str, root: Path) -> Codebase:
    """Index the files that ripgrep sees below `root`."""
    listed = subprocess.run(
        [ripgrep.binary(), "--files", "--sort", "path"], cwd=root, capture_output=True, text=True
    )
    codebase = Codebase(name, root, files=listed.stdout.splitlines())
    modules: Counter[str] = Counter()
    words: dict[str, set[str]] = defaultdict(set)
    for file in codebase.files:
        text = (root / file).read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()
        codebase.line_counts[file] = len(lines)
        codebase.settings += [s for line in lines if (s := parse(file, line))]
        if not file.endswith(_CODE):
            continue
        defined = _symbols(file, lines)
        codebase.symbols += defined
        for line in lines:
            found = _IMPORT.match(line)
            if found:
                modules[next(group for group in found.groups() if group)] += 1
        codebase.messages += [(m.group(2), file) for m in _MESSAGE.finditer(text)]
        for symbol in defined:
            for word in _WORD.findall(symbol.name):
                words[word.lower()].add(file)
    codebase.modules = sorted(
        module for module in modules
        if len(module) > 2 and module[0] not in "._" and module != "__future__"
    )  # fmt: skip
    codebase.messages = [m for m in dict.fromkeys(codebase.messages) if _is_plain(m[0])]
    codebase.words = sorted(
        word for word, seen in words.items() if len(seen) >= 2 and word not in _COMMON_WORDS
    )
    named = {symbol.name for symbol in codebase.symbols} | {s.key for s in codebase.settings}
    codebase.phrases = sorted({phrase for name in named if (phrase := _phrase(name))})
    codebase.manifest_packages = _manifest_packages(root)
    return codebase


def _phrase(name: str) -> str:
    """The words of a name with two or three plain ones, or ''."""
    words = re.split(r"[_.-]+|(?<=[a-z0-9])(?=[A-Z])", name)
    plain = all(re.fullmatch(r"[A-Za-z][a-z]{2,}|[A-Z]{3,}", word) for word in words)
    return " ".join(words).lower() if plain and 2 <= len(words) <= 3 else ""


def _is_plain(text: str) -> bool:
    """Whether a literal is words that somebody would paste into a question."""
    return " " in text and not re.search(r"[%{}$\\`\"|]|^\W", text)


def _symbols(file: str, lines: list[str]) -> list[Symbol]:
    found: list[Symbol] = []
    owner, owner_indent = "", -1
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#*/" or len(line) > 200:
            continue
        indent = len(line) - len(line.lstrip())
        if match := _CLASS.match(line):
            owner, owner_indent = match.group(2), indent
            if len(owner) > 2:
                bases = _bases(match.group(3))
                found.append(Symbol(owner, "class", file, number, stripped, bases=bases))
        elif match := _GO_TYPE.match(line):
            found.append(Symbol(match.group(1), "class", file, number, stripped))
        elif match := _FUNCTION.match(line):
            name = match.group(3)
            if len(name) > 2 and name != "function":
                inside = owner if indent > owner_indent else ""
                found.append(Symbol(name, "function", file, number, stripped, owner=inside))
        elif (match := _CONSTANT.match(line)) and stripped[-1] not in ",)":
            value = match.group(2)
            found.append(Symbol(match.group(1), "constant", file, number, stripped, value=value))
    return found


def _bases(rest: str) -> tuple[str, ...]:
    names: list[str] = []
    if match := _BASES.search(rest):
        names += (match.group(1) or match.group(2) or "").split(",")
    if match := _IMPLEMENTS.search(rest):
        names += match.group(1).split(",")
    tails = (re.split(r"[\\.]", name.strip())[-1] for name in names if "=" not in name)
    return tuple(tail for tail in tails if tail.isidentifier())


def _json_packages(text: str) -> list[str]:
    try:
        manifest = json.loads(text)
    except ValueError:
        return []
    tables = ("dependencies", "devDependencies", "peerDependencies", "require", "require-dev")
    return [name for table in tables for name in manifest.get(table) or {}]


def _manifest_packages(root: Path) -> list[str]:
    found: set[str] = set()
    for name in ("pyproject.toml", "setup.cfg", "package.json", "composer.json", "go.mod"):
        path = root / name
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            listed = re.findall(r"^\s*[\"']([a-z][\w./@-]+)[\"'<>=~! ]", text, re.M)
            found.update((_json_packages(text) if path.suffix == ".json" else listed)[:60])
    return sorted(name for name in found if not name.startswith("./") and len(name) > 2)
