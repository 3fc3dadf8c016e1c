"""Things that share a kind by their names: controllers, jobs, files about a word."""

import re

from agent_training import patterns, results
from agent_training.intents.describing import describe
from agent_training.intents.listings import extension, files_of
from agent_training.intents.wording import extent, listed, plural
from agent_training.oracle import Run, Unusable
from agent_training.results import Matches

_NAME = re.compile(r"\b(?:class|interface|type)\s+(\w+)")


def list_kind(run: Run) -> str:
    kind = run.slot("kind")
    found = _defined(run, kind)
    if not found.total:
        return _files(run, kind)
    named = [(m[1], hit) for hit in found.hits if (m := _NAME.search(hit.text))]
    shown = listed([f"`{name}` ({hit.place})" for name, hit in named], found.total)
    return f"{found.total} {kind} in {plural(found.files, 'file')}{shown}."


def count_kind(run: Run) -> str:
    kind = run.slot("kind")
    found = _defined(run, kind)
    if not found.total:
        return _files(run, kind)
    return f"{found.total} {kind} in {plural(found.files, 'file')}."


def _defined(run: Run, kind: str) -> Matches:
    return results.matches(run.call("grep", pattern=patterns.kind(kind), **run.where))


def _files(run: Run, kind: str) -> str:
    """No class is called so: the files or folders that are."""
    return files_of(run, f"**/*{patterns.stem(kind)}*/**", f"file for {kind}")


def find_about(run: Run) -> str:
    word = run.slot("word")
    return files_of(run, f"*{word}*", f"file with `{word}` in its name")


def which_file(run: Run) -> str:
    """Somebody speaks of one file by a word of its name: if several have it, ask which one."""
    word = run.slot("word")
    total, shown = results.files(run.call("find_files", glob=f"*{word}*"))
    if not total:
        return f"I found no file with `{word}` in its name."
    if total > 1:
        files = listed([f"`{path}`" for path in shown], total)
        return f"{plural(total, 'file')} with `{word}` in the name{files}. Which one do you mean?"
    part = results.excerpt(run.call("read_file", path=shown[0]))
    if part is None:
        raise Unusable("nothing to read")
    return f"{extent(part)}. {describe(part.path, part.lines)}".strip()


def list_ext_dir(run: Run) -> str:
    folder, suffix = run.slot("dir").rstrip("/"), extension(run)
    return files_of(run, f"{folder}/**/*.{suffix}", f"`.{suffix}` file in `{folder}`")
