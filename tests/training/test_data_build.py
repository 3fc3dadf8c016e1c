"""Sources, phrasing and checks: nothing reserved, nothing left open, the same rows every time."""

import json
import random
import tomllib
from pathlib import Path

import pytest

from agent_training import checks, pasted, sources
from agent_training.asking import work
from agent_training.build import Settings, _assign
from agent_training.memory import recall
from agent_training.mine import Codebase
from agent_training.oracle import TOOLS
from agent_training.phrasing import Examples, Frame, load, typed
from agent_training.reserved import is_reserved

RECIPE = Path(__file__).parents[2] / "training/recipes/embedded.toml"


@pytest.mark.parametrize(
    "name",
    ["jinja2", "Flask", "php-monolog", "php-twig", "symfony/console", "php-symfony-console",
     "golang-github-spf13-cobra-dev", "golang-github-gin-gonic-gin-dev", "express", "koa",
     "github.com/spf13/cobra", "php-guzzlehttp-psr7", "node-commander", "python3-werkzeug"],
)  # fmt: skip
def test_reserved_codebases_are_recognised(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name", ["httpx", "rich", "php-symfony-routing", "golang-github-spf13-viper-dev", "celery"]
)
def test_others_are_not(name: str) -> None:
    assert not is_reserved(name)


def test_the_recipe_names_no_reserved_codebase() -> None:
    recipe = tomllib.loads(RECIPE.read_text())
    listed = sources.load(recipe["sources"])
    assert len({source.name for source in listed}) == len(listed) > 50
    assert all(source.version and source.licence for source in listed)


def test_a_reserved_source_is_refused() -> None:
    entry = {"name": "x", "kind": "pip", "package": "flask", "version": "3", "licence": "BSD"}
    with pytest.raises(sources.SourceError, match="reserved"):
        sources.load([entry])


def row(**changes: object) -> dict[str, object]:
    call = {"name": "grep", "arguments": json.dumps({"pattern": "x"})}
    messages = [
        {"role": "user", "content": "where is x?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": call}]},
        {"role": "tool", "content": "No matches."},
        {"role": "assistant", "content": "I found no x."},
    ]
    return {"messages": messages, "tools": ["grep"], "source": "rich", "label": "tool",
            "intent": "define", "family": "f"} | changes  # fmt: skip


def with_arguments(arguments: str) -> dict[str, object]:
    changed = row()
    messages = json.loads(json.dumps(changed["messages"]))
    messages[1]["tool_calls"][0]["function"]["arguments"] = arguments
    return changed | {"messages": messages}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(source="flask"), "reserved codebase"),
        (row(tools=["read_file"]), "tool not offered"),
        (row(label="direct"), "label differs from calls"),
        (with_arguments('{"pattern":"x"}'), "arguments not canonical"),
        (with_arguments('{"path": "src"}'), "argument pattern missing"),
        (with_arguments('{"pattern": "x", "path": "."}'), "argument path equal to its default"),
        (with_arguments('{"path": "src", "pattern": "x"}'), "argument unknown or out of order"),
        (row(messages=[{"role": "user", "content": "where is {class}?"},
                       {"role": "assistant", "content": "there"}], label="direct"),
         "placeholder left"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_with_a_reason(bad: dict[str, object], reason: str) -> None:
    assert checks.problem(row()) == ""
    assert checks.problem(bad) == reason


def test_near_duplicates_do_not_cross_the_split() -> None:
    train = [row()]
    again = row(messages=[{"role": "user", "content": "Where is x??"}])
    other = row(messages=[{"role": "user", "content": "list the tests of the parser"}])
    kept, reasons = checks.without_leaks(train, [again, other])
    assert kept == [other]
    assert sum(reasons.values()) == 1


def test_opposite_labels_are_reported() -> None:
    every = list(TOOLS)
    answered = [{"role": "user", "content": "where is x"}, {"role": "assistant", "content": "-"}]
    direct = row(messages=answered, label="direct", tools=every)
    assert checks.contradictions([row(tools=every), direct]) == [("where is x", "where is x?")]


def test_entities_survive_typing() -> None:
    for seed in range(200):
        asked = typed("Where is {class} used?", {"class": "FooBarBaz"}, random.Random(seed))
        assert "FooBarBaz" in asked
        assert "{" not in asked


def test_quoted_code_gets_other_names_alike_in_question_and_answer() -> None:
    names = {"class": ["HttpKernel"], "function": ["fetch_rows"], "constant": []}
    question = "def send_mail(to):\n    return json.dumps(to)\n\nwhat does it return"
    answer = "`send_mail` returns its argument as JSON."
    asked, said = pasted.renamed(question, answer, "snippet", names, random.Random(1))
    assert asked == question.replace("send_mail", "fetch_rows")
    assert said == "`fetch_rows` returns its argument as JSON."


def test_remembered_results_are_forgotten_when_the_tools_answer_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (root / "a.py").write_text("X = 1\n")
    code, file = Codebase("code", root), tmp_path / "memory.json"
    honest = {'find_files {"glob": "*.py"}': "1 file\na.py"}
    for results, kept in ((honest, honest), ({**honest, 'find_files {"glob": "b"}': "x"}, {})):
        file.write_text(json.dumps({"tools": "another version", "results": results}))
        assert recall(file, code) == kept


def test_hand_written_examples_name_no_unknown_slot() -> None:
    examples = load(RECIPE.parent.parent / "examples")
    known = {*Frame("", "", "").slots, *checks.SLOTS}
    for frame in examples.tools:
        assert set(frame.slots) <= known


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    for number in range(4):
        text = f"class ThingNumber{number}:\n    def get_part{number}(self):\n        return 1\n"
        (root / f"part{number}.py").write_text(text * 3)
    frames = [Frame("define", f"{word} {{class}}", word) for word in ("where is", "find", "locate")]
    examples = Examples(frames, [], [])
    built = []
    for attempt in ("a", "b"):
        jobs = _assign(Settings(rows_per_frame=3, valid_share=0.0), {"code": root}, examples)
        built.append(work(("code", root, tmp_path / attempt, jobs["code"]))[0])
    assert built[0] == built[1]
    assert len(built[0]) >= 9


def test_a_folder_without_questions_is_an_error_not_an_empty_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no questions: .*, asked_\* or scene_"):
        load(tmp_path)
