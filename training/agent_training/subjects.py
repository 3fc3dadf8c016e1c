"""What questions beyond symbols and files are about: settings, kinds, words of documents."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

from agent_training.mine import LANGUAGES, Codebase
from agent_training.oracle import Unusable
from agent_training.settings import Setting

_DOCUMENTS = (".md", ".rst", ".txt", ".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".conf")
_LONGEST = 400  # lines of a document to ask about; longer ones are seen in part only
_SEEN = 1300  # characters of it that the model is shown
_ABSENT_TOPIC_SHARE = 0.1
_KINDS = """controllers models services repositories middlewares handlers jobs commands listeners
events validators factories exceptions plugins helpers resolvers entities policies providers
serializers migrations fixtures views forms widgets adapters decorators observers""".split()  # noqa: SIM905


def key(code: Codebase, names: set[str], rng: random.Random) -> dict[str, str]:
    """A setting, its file and, where the question wants one, another value of the same sort."""
    pool = [s for s in code.settings if re.search(r"[_.-]|[a-z][A-Z]", s.key)] or code.settings
    if not pool:
        raise Unusable("no settings here")
    setting = rng.choice(pool if rng.random() < 0.7 else code.settings)
    filled = {"key": setting.key, "was": setting.value}
    if "file" in names:
        filled["file"] = setting.file
    if "value" in names:
        filled["value"] = _another(setting, code, rng)
    return filled


def _another(setting: Setting, code: Codebase, rng: random.Random) -> str:
    flips = {"true": "false", "True": "False", "yes": "no", "on": "off"}
    flips |= {after: before for before, after in flips.items()}
    if setting.value in flips:
        return flips[setting.value]
    if re.fullmatch(r"-?\d+", setting.value):
        number = int(setting.value)
        near = [number + 1, number + 5, number * 2, number * 10, max(0, number // 2), 0, 30, 7]
        return str(rng.choice([n for n in near if n != number]))
    if re.fullmatch(r"\d+\.\d+", setting.value):
        return f"{rng.randint(0, 20)}.{rng.randint(1, 9)}"
    values = [s.value for s in code.settings if s.value != setting.value and s.quote]
    return rng.choice(values or code.words or ["other"])


def document(code: Codebase, rng: random.Random) -> dict[str, str]:
    """A document or configuration file, and a word that stands in its first part."""
    pool = [
        file for file in code.files
        if (file.endswith(_DOCUMENTS) or "." not in Path(file).name)
        and 4 <= code.line_counts[file] <= _LONGEST and "LICENSE" not in file
    ]  # fmt: skip
    if not pool:
        raise Unusable("no document here")
    at_top = [file for file in pool if file.count("/") < 2]
    file = rng.choice(at_top if at_top and rng.random() < 0.7 else pool)
    text = (code.root / file).read_text(encoding="utf-8", errors="replace")[:_SEEN]
    counted = Counter(re.findall(r"\b[a-z]{4,14}\b", text))
    words = [word for word, count in counted.items() if count <= 3]
    if not words or (code.words and rng.random() < _ABSENT_TOPIC_SHARE):
        words = code.words or ["cache"]
    return {"docfile": file, "topic": rng.choice(words)}


def kind(code: Codebase, rng: random.Random) -> str:
    """What several classes, or a folder, are called after; now and then what is not there."""
    last_word = re.compile(r"[A-Z][a-z]+$")
    found = (last_word.search(symbol.name) for symbol in code.of_kind("class"))
    endings = Counter(match[0] for match in found if match)
    pool = [_plural(e.lower()) for e, n in endings.items() if n > 1 and len(e) > 3 and e[-1] != "s"]
    folders = {Path(folder).name.lower() for folder in code.directories}
    pool += [name for name in sorted(folders) if name.isalpha() and len(name) > 4]
    if not pool or rng.random() < 0.25:
        pool = _KINDS
    return rng.choice(pool)


def _plural(word: str) -> str:
    if word[-1] == "y" and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def file_word(code: Codebase, rng: random.Random) -> str:
    """A word that stands in a file's name."""
    stems = (Path(file).name.partition(".")[0] for file in code.files)
    found: set[str] = {w.lower() for stem in stems for w in re.findall(r"[A-Za-z][a-z]{3,}", stem)}
    if not found:
        raise Unusable("no word in a file's name")
    return rng.choice(sorted(found))


def folder_and_ending(code: Codebase, rng: random.Random) -> dict[str, str]:
    """A folder and an ending that files below it have."""
    inside = [Path(file) for file in code.files if "/" in file and Path(file).suffix]
    if not inside:
        raise Unusable("no file in a folder")
    file = rng.choice(inside)
    language = next((n for n, ext in LANGUAGES.items() if f".{ext}" == file.suffix), "")
    if not language:
        raise Unusable("no language of that ending")
    above = rng.choice(list(file.parents)[:-1])
    return {"dir": str(above), "ext": file.suffix[1:], "language": language}


def insertion(code: Codebase, rng: random.Random) -> dict[str, str]:
    """A line at the margin that is in its file once, and another line to put beside it."""
    file = rng.choice(code.files)
    lines = (code.root / file).read_text(encoding="utf-8", errors="replace").splitlines()
    usable = [
        line for line in lines
        if 6 <= len(line) <= 60 and line[0] not in " \t#*/" and line[-1] not in "{([,\\:"
        and "`" not in line and lines.count(line) == 1
    ]  # fmt: skip
    if len(usable) < 2:
        raise Unusable("no lines to add to")
    old, content = rng.sample(usable, 2)
    return {"file": file, "old": old, "content": content}
