"""Fill a frame's slots with entities of one codebase, so that they fit together."""

import random
import re
from pathlib import Path

from agent_training import subjects
from agent_training.mine import Codebase, Symbol
from agent_training.oracle import Unusable

MISSING_SHARE = 0.06
"""Of the questions about a name, how many name one that is not there."""
MISSING_SEARCH_SHARE = 0.13
"""The same for the plainest ones: the practice in copying hard names."""
QUALIFIED_SHARE = 0.06
ROOT_SHARE = 0.3
"""Of the files to open, how many lie at the top, some of them without an ending."""
SHORT_SHARE, MISSPELT_SHARE = 0.15, 0.04
"""Of the files to open, how many are named without their folder, or with a slip."""
ABSENT_WORD_SHARE = {
    "exists_feature": 0.45, "feature": 0.12, "find_about": 0.12, "which_file": 0.08,
}  # fmt: skip
PHRASE_SHARE = {"exists_feature": 0.3, "feature": 0.35}
"""Of the things described, how many in two words or three."""
_OPENS = {"read", "explain_file", "count_lines", "read_head", "lint_file"}
_CHANGES = {"edit_replace", "edit_delete"}
_ABSENT_WORDS = """mutex semaphore websocket webhook graphql grpc oauth captcha cron daemon async
coroutine thread goroutine recursion memoization pagination throttling sharding encryption checksum
kafka rabbitmq redis postgres mongodb sqlite docker kubernetes terraform prometheus sentry telemetry
bitmap trie heap quaternion barcode invoice coupon refund currency timezone holiday geocoding
thumbnail watermark video podcast bluetooth modem blockchain ledger auction lottery telegram slack
dark-mode autocomplete drag-and-drop undo spellcheck transliteration leap-year singleton mock
""".split()  # noqa: SIM905
_MISSABLE = {
    "define", "usages", "exists_symbol", "bare", "show_symbol", "explain_symbol", "subclasses",
    "find_file", "exists_file", "read", "explain_file", "value_of", "signature_of", "methods_of",
    "count_usages", "bases_of", "lint_file", "edit_replace", "edit_delete", "importers", "text",
}  # fmt: skip
_NEEDS_PLACE_WITH = {
    "list_classes": "class", "count_classes": "class",
    "list_functions": "function", "count_functions": "function",
}  # fmt: skip
_PACKAGES = """redis numpy pandas lodash react vue guzzlehttp/guzzle symfony/yaml laravel/framework
doctrine/orm psycopg2 boto3 pyyaml httpx celery jest mocha typescript eslint webpack axios
phpstan/phpstan predis/predis nesbot/carbon sqlalchemy pytest mypy black rich""".split()  # noqa: SIM905
_STEMS = """notes todo setup ideas plan draft changes summary hello example sample scratch review
report config settings schema release tasks questions roadmap usage helpers constants""".split()  # noqa: SIM905
_CONTENTS = (
    "hello world", "Hello, world!", "TODO: write this", "work in progress", "# Notes",
    'print("hello")', "<?php", "DEBUG=1", "version: 1", "{}", "[]", "just a test", "see README.md",
    "console.log(1)", "first draft", "# To do", "FROM scratch", "ok", "12345", "PORT=8080",
    'echo "hi";', "lorem ipsum", "package main", "use strict;", "name: demo", "-- empty --",
)  # fmt: skip
_RESERVED_WORD = re.compile(
    r"(?i)itsdangerous|jinja2|markupsafe|pluggy|starlette|urllib3|werkzeug|httpcore|monolog"
    r"|phpunit|commonmark|php-parser|ramsey|\bflask|\bcobra\b|\btwig\b|\bzod\b|\battrs\b"
)
_SYLLABLES = "zor qui vex tam plo gri nub osk wel dra fyn jax mib ruc hel pov syn tek".split()  # noqa: SIM905


def fill(intent: str, slots: list[str], code: Codebase, rng: random.Random) -> dict[str, str]:
    """A value for every slot. Raises Unusable if the codebase has none that fits."""
    filled: dict[str, str] = {}
    names = set(slots)
    share = MISSING_SEARCH_SHARE if intent in ("define", "usages") else MISSING_SHARE
    missing = intent in _MISSABLE and rng.random() < share
    filled |= _place(intent, names, code, rng) | _subject(intent, names, code, rng)
    if "old" in names and "old" not in filled:
        filled |= _edit(code, rng)
    if "file" in names and intent in _OPENS and rng.random() < ROOT_SHARE:
        filled |= _root_file(code, rng)
    if "word" in names and "word" not in filled and rng.random() < ABSENT_WORD_SHARE.get(intent, 0):
        filled["word"] = rng.choice(_ABSENT_WORDS)
    for name in ("class", "base", "function", "constant", "symbol"):
        if name in names and name not in filled:
            symbol = _symbol(name, intent, names, code, rng, filled)
            filled[name] = _invented(rng, code, name) if missing else _shown(symbol, intent, rng)
            if not missing and names & {"file", "dir"} and "file" not in filled:
                filled |= _place_of(symbol, names)
    for name in ("class2", "function2"):
        if name in names:
            filled[name] = _other(name, filled, code, rng)
    for name in sorted(slots, key=lambda slot: slot in ("line", "line2", "n")):
        if name not in filled:
            filled[name] = _simple(name, code, rng, filled)
    if missing:
        _spoil(filled, rng, code)
    elif intent in _OPENS | _CHANGES | {"read_line", "read_lines"}:
        _shorten(filled, intent, code, rng)
    if any(_RESERVED_WORD.search(value) for value in filled.values()):
        raise Unusable("names a reserved codebase")
    return {name: filled[name] for name in dict.fromkeys(slots)}


def _subject(intent: str, names: set[str], code: Codebase, rng: random.Random) -> dict[str, str]:
    """What the newer kinds of question are about, with the place that goes with it."""
    found: dict[str, str] = {}
    if "key" in names:
        found |= subjects.key(code, names, rng)
    if "docfile" in names:
        found |= subjects.document(code, rng)
    if "kind" in names:
        found["kind"] = subjects.kind(code, rng)
    if intent.startswith("insert_"):
        found |= subjects.insertion(code, rng)
    if intent == "list_ext_dir" and rng.random() < 0.85:
        found |= subjects.folder_and_ending(code, rng)
    if intent in ("find_about", "which_file") and rng.random() > ABSENT_WORD_SHARE[intent]:
        found["word"] = subjects.file_word(code, rng)
    if intent in PHRASE_SHARE and code.phrases and rng.random() < PHRASE_SHARE[intent]:
        found["word"] = rng.choice(code.phrases)
    return found


def hard_name(rng: random.Random, constant: bool = False) -> str:
    """An invented name that is hard to copy: namespaces, dots, dashes, rare letters."""
    parts = ["".join(rng.sample(_SYLLABLES, rng.randint(1, 3))) for _ in range(rng.randint(1, 3))]
    title = [part.title() for part in parts]
    shape = rng.choice([0, 1, 2, 3, 4, 5, 7] if not constant else [6])
    if shape == 0:
        return "_".join([*parts, str(rng.randint(2, 99))])
    if shape == 1:
        return "".join(title)
    if shape == 2:
        return parts[0] + "".join(title[1:]) + str(rng.randint(1, 9))
    if shape == 3:
        return "\\".join(["App", rng.choice(["Http", "Models", "Jobs", "Domain"]), "".join(title)])
    if shape == 4:
        return ".".join([parts[0], "_".join(parts[::-1])])
    if shape == 5:
        return "__" + "_".join(parts) + "__"
    if shape == 6:
        return "_".join(parts).upper() + "_MAX"
    return "".join(title) + "::" + parts[0] + "".join(title[1:])


def _simple(name: str, code: Codebase, rng: random.Random, filled: dict[str, str]) -> str:
    if name in ("line", "line2", "n"):
        return _line(name, code, rng, filled)
    pools = {
        "file": [file for file in code.files if code.line_counts[file] >= 12],
        "phpfile": [file for file in code.files if file.endswith(".php")],
        "filename": sorted({Path(file).name for file in code.files}),
        "dir": code.directories,
        "ext": code.extensions,
        "language": code.languages,
        "module": code.modules,
        "word": code.words,
        "string": [text for text, _ in code.messages],
        "package": code.manifest_packages + rng.sample(_PACKAGES, 4),
        "newname": [_new_name(filled, code, rng)],
        "file2": [f for f in code.files if f != filled.get("file") and code.line_counts[f] >= 12],
        "content": [rng.choice(_CONTENTS)],
        "content2": [rng.choice(_CONTENTS)],
        "value": [str(rng.choice([0, 1, 2, 5, 10, 30, 60, 100, 255, 4096, "True", "false"]))],
    }
    if name == "newfile":
        return _new_file(code, rng)
    if not pools.get(name):
        raise Unusable(f"no {name} here")
    return rng.choice(pools[name])


def _place(intent: str, names: set[str], code: Codebase, rng: random.Random) -> dict[str, str]:
    """A file or folder that holds what the intent lists."""
    kind = _NEEDS_PLACE_WITH.get(intent)
    if not kind or not names & {"file", "dir"}:
        return {}
    symbol = _pick(code.of_kind(kind), rng, f"no {kind} here")
    return _place_of(symbol, names)


def _place_of(symbol: Symbol, names: set[str]) -> dict[str, str]:
    found = {}
    if "file" in names:
        found["file"] = symbol.file
    if "dir" in names:
        folder = str(Path(symbol.file).parent)
        if folder == ".":
            raise Unusable("the file is in no folder")
        found["dir"] = folder
    return found


def _symbol(
    slot: str, intent: str, names: set[str], code: Codebase, rng: random.Random,
    filled: dict[str, str],
) -> Symbol:  # fmt: skip
    if slot == "base" or (intent == "bases_of" and rng.random() < 0.8):
        return _related(slot, code, rng)
    kind = {"symbol": rng.choice(["class", "function", "function", "constant"])}.get(slot, slot)
    pool = code.of_kind(kind)
    if intent == "rename_in":
        pool = _named_once(rng.sample(pool, min(40, len(pool))), code)
    if kind == "constant" and intent in ("value_of", "edit_constant"):
        pool = [s for s in pool if re.fullmatch(r"['\"]?[\w./ -]{1,30}['\"]?", s.value)]
    if intent in ("value_of", "signature_of", "show_symbol", "explain_symbol", "methods_of",
                  "explain_method"):  # fmt: skip
        seen: dict[str, int] = {}
        for symbol in pool:
            seen[symbol.name] = seen.get(symbol.name, 0) + 1
        pool = [symbol for symbol in pool if seen[symbol.name] <= 3]
    if "class" in filled and slot == "function":
        owned = [symbol for symbol in pool if symbol.owner == filled["class"]]
        pool = owned if intent == "explain_method" else owned or pool
    if slot == "class" and intent == "explain_method":
        owners = {symbol.owner for symbol in code.of_kind("function")}
        pool = [symbol for symbol in pool if symbol.name in owners]
    symbol = _pick(pool, rng, f"no {kind} here")
    for _ in range(8):
        tested = "test" in symbol.file.lower() and rng.random() < 0.7
        if _distinct(symbol.name, kind) and not tested:
            break
        symbol = _pick(pool, rng, f"no {kind} here")
    return symbol


def _named_once(pool: list[Symbol], code: Codebase) -> list[Symbol]:
    """The symbols whose name stands once in their file."""
    texts = {s.file: (code.root / s.file).read_text(errors="replace") for s in pool}
    return [s for s in pool if len(re.findall(rf"\b{s.name}\b", texts[s.file])) == 1]


def _distinct(name: str, kind: str) -> bool:
    """Whether a name looks like one; plain words such as `get` are kept rare."""
    if kind == "class" and name.isupper():
        return False
    return bool(re.search(r"[a-z0-9][A-Z]|_|\d", name))


def _related(slot: str, code: Codebase, rng: random.Random) -> Symbol:
    children = [symbol for symbol in code.of_kind("class") if symbol.bases]
    child = _pick(children, rng, "nothing extends anything here")
    if slot != "base":
        return child
    name = child.bases[0]
    return Symbol(name, "class", child.file, child.line, child.text)


def _pick(pool: list[Symbol], rng: random.Random, problem: str) -> Symbol:
    if not pool:
        raise Unusable(problem)
    return rng.choice(pool)


def _shown(symbol: Symbol, intent: str, rng: random.Random) -> str:
    """The name as somebody would write it; now and then qualified or with parentheses."""
    if symbol.name.isupper() and symbol.kind == "class":
        raise Unusable("an upper-case class reads like a constant")
    if symbol.kind == "function" and rng.random() < QUALIFIED_SHARE:
        if symbol.owner and rng.random() < 0.6:
            joint = "::" if symbol.file.endswith(".php") else "."
            return f"{symbol.owner}{joint}{symbol.name}"
        return f"{symbol.name}()"
    if symbol.kind == "class" and symbol.file.endswith(".php") and rng.random() < QUALIFIED_SHARE:
        folder = [part for part in Path(symbol.file).parts[:-1] if part.istitle()]
        return "\\".join([*folder[-2:], symbol.name])
    return symbol.name


def _new_name(filled: dict[str, str], code: Codebase, rng: random.Random) -> str:
    """In the style of the old one."""
    old = filled.get("function") or filled.get("class") or filled.get("constant") or ""
    kind = next((k for k in ("function", "class", "constant") if k in filled), "class")
    alike = [s.name for s in code.of_kind(kind) if s.name != old]
    if alike and rng.random() < 0.6:
        return rng.choice(alike)
    return re.split(r"\W+", hard_name(rng, constant=kind == "constant"))[-1]


def _other(name: str, filled: dict[str, str], code: Codebase, rng: random.Random) -> str:
    kind = name.removesuffix("2")
    first = filled.get(kind, "")
    near = [s.name for s in code.of_kind(kind) if s.name != first and not s.name.isupper()]
    akin = [other for other in near if other[-4:] == first[-4:]]
    if not near:
        raise Unusable(f"no second {kind}")
    return rng.choice(akin if akin and rng.random() < 0.6 else near)


def _invented(rng: random.Random, code: Codebase, slot: str) -> str:
    """A name that is not in the codebase."""
    kind = slot if slot in ("class", "function", "constant") else "class"
    names = [symbol.name for symbol in code.of_kind(kind)]
    if len(names) < 4 or rng.random() < 0.7:
        return hard_name(rng, constant=slot == "constant")
    one, two = rng.sample(names, 2)
    return one + ("_" if "_" in one else "") + (two if "_" in one else two[:1].upper() + two[1:])


def _spoil(filled: dict[str, str], rng: random.Random, code: Codebase) -> None:
    stem = "".join(rng.sample(_SYLLABLES, 2))
    if "old" in filled:
        filled["old"] = filled["old"].replace(" ", f" {stem} ", 1)
    for name in ("file", "filename", "phpfile"):
        if name in filled and not filled.keys() & {"old", "class", "function", "constant"}:
            path = Path(filled[name])
            filled[name] = str(path.with_name(f"{stem}_{path.name}"))
    if "module" in filled:
        filled["module"] = stem
    if "string" in filled:
        filled["string"] = f"{filled['string'].split()[0]} {stem} failed"


def _line(name: str, code: Codebase, rng: random.Random, filled: dict[str, str]) -> str:
    if name == "n":
        return str(rng.choice([3, 4, 5, 5, 6, 8, 10, 10, 12, 15, 20, 20, 30]))
    total = code.line_counts.get(filled.get("file", ""), 60)
    if total < 12:
        raise Unusable("the file is too short")
    start = int(filled.get("line") or rng.randint(1, total - 9))
    if name == "line":
        return str(start)
    return str(start + rng.randint(1, 8))


def _edit(code: Codebase, rng: random.Random) -> dict[str, str]:
    """A line that is in the file once, and a small change of it."""
    path = _pick(code.symbols, rng, "no code here").file
    lines = (code.root / path).read_text(encoding="utf-8", errors="replace").splitlines()
    stripped = [line.strip() for line in lines]
    usable = [
        line for line in stripped
        if 8 <= len(line) <= 60 and stripped.count(line) == 1 and line[-1] not in "{([,\\"
        and "`" not in line and line[0] not in "#*/\"'" and re.search(r"[=(]", line)
    ]  # fmt: skip
    if not usable:
        raise Unusable("no line to edit")
    old = rng.choice(usable)
    numbers = list(re.finditer(r"\b\d+\b", old))
    words = list(re.finditer(r"\b[a-z]{4,}\b", old))
    if numbers:
        found = rng.choice(numbers)
        replacement = str(int(found.group()) + rng.choice([1, 2, 5, 10]))
    elif words:
        found = rng.choice(words)
        replacement = rng.choice(code.words) if code.words else found.group() + "_new"
    else:
        raise Unusable("nothing to change in the line")
    return {
        "file": path,
        "old": old,
        "new": old[: found.start()] + replacement + old[found.end() :],
    }


def _root_file(code: Codebase, rng: random.Random) -> dict[str, str]:
    files = [f for f in code.files if "/" not in f and code.line_counts[f] >= 3]
    return {"file": rng.choice(files)} if files else {}


def _shorten(filled: dict[str, str], intent: str, code: Codebase, rng: random.Random) -> None:
    """A file as people name it: without its folder where no other has its name, or misspelt."""
    for name in {"file", "phpfile"} & filled.keys():
        path = Path(filled[name])
        alike = sum(file.endswith(f"/{path.name}") or file == path.name for file in code.files)
        draw = rng.random()
        if draw < SHORT_SHARE and alike == 1 and len(path.parts) > 1:
            filled[name] = path.name
        elif draw > 1 - MISSPELT_SHARE and intent in _OPENS and len(path.stem) > 5:
            at = rng.randrange(1, len(path.stem) - 1)
            slip = path.stem[:at] + path.stem[at + 1 :]
            filled[name] = str(path.with_name(slip + path.suffix))


def _new_file(code: Codebase, rng: random.Random) -> str:
    stem = rng.choice(_STEMS) if rng.random() < 0.6 or not code.words else rng.choice(code.words)
    if rng.random() < 0.2:
        stem += f"_{rng.choice(_STEMS)}"
    suffix = rng.choice(["md", "md", "txt", "txt", *code.extensions, "py", "php", "js", "json"])
    folder = rng.choice(["", "", "", "docs/", "tmp/", *(f"{d}/" for d in code.directories[:6])])
    return f"{folder}{stem}.{suffix}"
