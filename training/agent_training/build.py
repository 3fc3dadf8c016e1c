"""Build the training rows: hand-written questions over real codebases, answers from real tools."""

import argparse
import json
import multiprocessing
import random
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from agent_training import asked, checks, imagined, pasted, scenes, sources
from agent_training.asking import TOOL_NAMES, Job, Row, make_row, no_names, work
from agent_training.intents import FOLLOW_UPS, INTENTS
from agent_training.phrasing import Examples, Frame, load, typed
from agent_training.results import VISIBLE


@dataclass(frozen=True)
class Settings:
    """The recipe's `[data]` table."""

    seed: int = 1
    rows_per_frame: int = 12
    """Per hand-written tool frame, each over another entity or codebase."""
    copies_per_question: int = 4
    """Per hand-written direct phrasing, each typed a little differently."""
    copies_of_asked: int = 4
    """Per question that is written with its first call."""
    copies_of_scene: int = 5
    """Per question about a scene, each with its whole dialogue."""
    copies_of_pasted: int = 8
    """The same where the question quotes code: each with other names from real codebases."""
    tool_share: float = 0.55
    valid_share: float = 0.05
    absent_share: float = 0.03
    """Of the tool rows, how many are repeated without the tool they need."""
    conversation_share: float = 0.05
    """Of all rows, how many follow an unrelated exchange."""
    workers: int = 2


def build(settings: Settings, recipe_sources: list[sources.Source], cache: Path, examples: Examples
          ) -> tuple[list[Row], list[Row], Counter[str]]:  # fmt: skip
    """Rows for training and validation, split by codebase and by family; reject reasons counted."""
    rejects: Counter[str] = Counter()
    rows: list[Row] = []
    with multiprocessing.Pool(settings.workers) as pool:
        roots = sources.fetch_all(recipe_sources, cache, pool.map)
        jobs = _assign(settings, roots, examples)
        shares = [(name, roots[name], cache, jobs[name]) for name in sorted(jobs)]
        names: dict[str, pasted.Names] = {"train": no_names(), "valid": no_names()}
        for found, reasons, named in pool.imap(work, shares, chunksize=1):
            rows += found
            rejects.update(reasons)
            for kind, some in named.items() if found else ():
                names[split_of(found[0]["family"], settings)][kind] += some
    rows += _direct_rows(settings, examples, names)
    rows += _asked_rows(settings, examples)
    for scene in examples.scenes:
        rows += scenes.rows(scene, settings.copies_of_scene, settings.seed)
    rows.sort(key=lambda row: (row["family"], row["source"], json.dumps(row["messages"])))
    random.Random(settings.seed).shuffle(rows)
    rows, refused = checks.accept(rows)
    rejects.update(refused)
    rows = _balanced(settings, rows)
    random.Random(settings.seed).shuffle(rows)
    _converse(settings, rows)
    train = [row for row in rows if row["split"] == "train"]
    valid = [row for row in rows if row["split"] == "valid"]
    valid, leaked = checks.without_leaks(train, valid)
    rejects.update(leaked)
    return train, valid, rejects


def split_of(name: str, settings: Settings, share: float | None = None) -> str:
    """`train` or `valid`, for a family or a codebase, by its name alone."""
    drawn = random.Random(f"{settings.seed} {name}").random()
    return "valid" if drawn < (settings.valid_share if share is None else share) else "train"


def _assign(settings: Settings, roots: dict[str, Path], examples: Examples) -> dict[str, list[Job]]:
    """Give every frame its codebases; a family's split decides which ones it may meet."""
    names = sorted(roots)
    fits = {name: _fitting_intents(roots[name]) for name in names}
    pools: dict[str, list[str]] = defaultdict(list)
    for name in names:
        pools[split_of(name, settings, settings.valid_share * 1.5)].append(name)
    if not pools["valid"]:
        pools["valid"] = [names[-1]]
        pools["train"] = [name for name in names if name != names[-1]] or names
    by_intent: dict[str, list[Frame]] = defaultdict(list)
    for frame in examples.tools:
        by_intent[frame.intent].append(frame)
    asked: list[tuple[Frame, Frame | None]] = [(frame, None) for frame in examples.tools]
    asked += [pair for pair in examples.contrasts]
    jobs: dict[str, list[Job]] = defaultdict(list)
    for frame, partner in asked:
        if frame.intent not in INTENTS:
            continue
        rng = random.Random(f"{settings.seed} {frame.family} {frame.intent}")
        split = split_of(frame.family, settings)
        fitting = [name for name in pools[split] if frame.intent in fits[name]] or pools[split]
        for number in range(settings.rows_per_frame):
            first = _first_turn(frame, by_intent, settings, rng)
            if frame.intent in FOLLOW_UPS and first is None:
                continue
            seed = f"{settings.seed} {frame.family} {frame.intent} {number}"
            without = rng.random() < settings.absent_share
            job = Job(frame, partner, first, seed, without)
            home = rng.choice(fitting if rng.random() < 0.88 else pools[split])
            jobs[home].append(job)
    return jobs


def _fitting_intents(root: Path) -> set[str]:
    """The intents that a codebase has more to say to than `nothing here`."""
    needs = {
        "pyproject.toml setup.py setup.cfg composer.json package.json go.mod":
            "dependencies uses_package version authors runtime_version entry_point",
        "README*": "about install readme",
        "**/*.md **/*.rst **/*.toml **/*.yml **/*.json **/*.cfg": "ask_file",
        "**/*.md **/*.rst": "find_docs",
        "**/*.php": "lint_file lint_dir lint_all list_interfaces",
        "**/*.ts": "list_interfaces",
        "**/*[Tt]est*": "find_tests list_tests count_tests test_framework",
        "**/*.html **/*.tpl **/*.phtml **/*.mako": "find_templates",
        "**/migrations": "find_migrations",
        "**/Dockerfile* **/docker-compose*": "find_docker",
        ".github/workflows .travis.yml .gitlab-ci.yml": "find_ci",
        "**/*.json **/*.toml **/*.cfg **/*.yml": "find_config",
        "LICENSE* COPYING*": "license",
        "CHANGELOG* CHANGES* HISTORY* NEWS*": "changelog",
        "package.json": "npm_scripts",
        "composer.json": "composer_scripts",
        "Makefile": "make_targets",
        "Makefile package.json composer.json tox.ini noxfile.py": "tasks",
    }  # fmt: skip
    found: set[str] = {intent for intents in needs.values() for intent in intents.split()}
    present = set()
    for globs, intents in needs.items():
        if any(next(root.glob(glob), None) for glob in globs.split()):
            present |= set(intents.split())
    return set(INTENTS) - found | present


def _first_turn(
    frame: Frame, by_intent: dict[str, list[Frame]], settings: Settings, rng: random.Random
) -> Frame | None:
    if frame.intent not in FOLLOW_UPS:
        return None
    named = [name for name in frame.after.split("|") if name != "any"]
    intent = rng.choice(named or ["define", "usages", "find_file", "list_classes", "read"])
    split = split_of(frame.family, settings)
    pool = [first for first in by_intent[intent] if split_of(first.family, settings) == split]
    return rng.choice(pool) if pool else None


def _direct_rows(
    settings: Settings, examples: Examples, names: dict[str, pasted.Names]
) -> list[Row]:
    rows = []
    for question, answer, kind, family in examples.direct:
        quotes = kind in pasted.KINDS
        for number in range(settings.copies_of_pasted if quotes else settings.copies_per_question):
            rng = random.Random(f"{settings.seed} {question} {number}")
            asked, said = question, answer
            if number and quotes:
                split = split_of(family, settings)
                asked, said = pasted.renamed(question, answer, kind, names[split], rng)
            if number:
                code = quotes or "\n" in asked or "`" in asked
                asked = pasted.retyped(asked, rng) if code else typed(asked, {}, rng)
            turn = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            made = make_row(turn, f"direct:{kind}", "hand-written", family, "direct")
            if rng.random() < 0.04:
                count = rng.randint(0, 5)
                made["tools"] = [n for n in TOOL_NAMES if n in rng.sample(TOOL_NAMES, count)]
            rows.append(made)
    return rows


def _asked_rows(settings: Settings, examples: Examples) -> list[Row]:
    rows = []
    changes = imagined.changes(examples.asked)
    for line in examples.asked:
        whole = line.do == imagined.DO
        for number in range(settings.copies_of_asked):
            rng = random.Random(f"{settings.seed} {line.question} {number}")
            question = asked.typed(line, rng) if number else line.question
            turn = [{"role": "user", "content": question}]
            turn += imagined.turn(line, changes, rng) if whole else [asked.first_step(line)]
            intent = line.do if whole else f"asked:{line.do}"
            rows.append(make_row(turn, intent, "hand-written", line.family, "tool"))
    return rows


def _balanced(settings: Settings, rows: list[Row]) -> list[Row]:
    """Drop rows of the larger class, the most repeated families first, to the wanted share."""
    for row in rows:
        row["split"] = split_of(row["family"], settings)
    tools = [row for row in rows if row["label"] == "tool"]
    direct = [row for row in rows if row["label"] == "direct"]
    share = settings.tool_share
    keep_tools = min(len(tools), int(len(direct) * share / (1 - share)))
    keep_direct = min(len(direct), int(len(tools) * (1 - share) / share))
    return _spread(tools, keep_tools) + _spread(direct, keep_direct)


def _spread(rows: list[Row], count: int) -> list[Row]:
    """`count` rows, taken in turns from every family; contrasts and quoted code twice a turn."""
    turns: dict[str, float] = defaultdict(float)
    ranked: list[tuple[float, int, Row]] = []
    for row in rows:
        kind = row["intent"].removeprefix("direct:")
        turns[row["family"]] += 0.5 if kind in {"contrast", *pasted.KINDS} else 1
        ranked.append((turns[row["family"]], len(ranked), row))
    ranked.sort(key=lambda item: item[:2])
    return [row for _, _, row in ranked[:count]]


def _converse(settings: Settings, rows: list[Row]) -> None:
    """Put an unrelated exchange of the same split before some single-turn rows."""
    rng = random.Random(settings.seed)
    turns = [row["messages"] for row in rows if len(row["messages"]) <= 4]
    splits = [row["split"] for row in rows if len(row["messages"]) <= 4]
    for row in rows:
        single = sum(message["role"] == "user" for message in row["messages"]) == 1
        # "where is it used?" lacks something only while nothing was said before.
        alone = row["intent"] == "direct:ask"
        if single and not alone and rng.random() < settings.conversation_share:
            at = rng.randrange(len(turns))
            if splits[at] == row["split"]:
                row["messages"] = [*turns[at], *row["messages"]]


def write(rows: Iterable[Row], path: Path) -> None:
    """One JSON object a line, replaced at once so that a reader never sees half a file."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            kept = {key: value for key, value in row.items() if key != "split"}
            kept["messages"] = [_cut(message) for message in row["messages"]]
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")
    partial.replace(path)


def _cut(message: Row) -> Row:
    """Long tool results without the part that the template drops anyway."""
    return {**message, "content": message["content"][: 2 * VISIBLE]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    default_cache = Path(platformdirs.user_cache_dir("agent")) / "training"
    parser.add_argument("--cache", type=Path, default=default_cache, help="downloaded packages")
    parser.add_argument("--examples", type=Path, default=None)
    parser.add_argument("--only", type=int, default=0, help="the first N codebases only")
    parser.add_argument("--rows-per-frame", type=int, default=0)
    options = parser.parse_args()
    recipe = tomllib.loads(options.recipe.read_text(encoding="utf-8"))
    settings = Settings(**recipe.get("data", {}))
    if options.rows_per_frame:
        settings = replace(settings, rows_per_frame=options.rows_per_frame)
    wanted = sources.load(recipe["sources"])[: options.only or None]
    folder = options.examples or options.recipe.parent.parent / "examples"
    try:
        examples = load(folder)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    options.cache.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    train, valid, rejects = build(settings, wanted, options.cache, examples)
    write(train, options.out / "train.jsonl")
    write(valid, options.out / "valid.jsonl")
    report = checks.report(train, valid, rejects)
    (options.out / "report.txt").write_text(report, encoding="utf-8")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
