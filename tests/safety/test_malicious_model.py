"""A malicious model in a poisoned repository: whatever it calls, the `trap` holds.

The trap itself checks that nothing around the repository changed, that what is protected in it did
not, and that the hostile endpoint got no request; the attack, that no secret was on the wire.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import trust
from agent.permissions import Request
from agent_tools import ToolError, Workspace, grep, ripgrep, write_file
from tests.agent_tools.test_paths import SWAPPING
from tests.safety.conftest import DECEIVING, INJECTION, Attack, Trap
from tests.scripted_endpoint import Behaviour, call, calls, raw_call, text

_numbers = itertools.count()
DONE = text("Done.")
OUT = (
    "../outside/canary.txt", "{outside}/canary.txt", "out/canary.txt", "out/new.txt", "out",
    "up/outside/canary.txt", "canary", "rootfs/etc/passwd", "rootfs{outside}/canary.txt",
    "/etc/passwd", "/proc/self/environ", "memory", "zero.txt", "round", "dangling", "..",
    "~/.ssh/id_rsa", "mine/.ssh/id_rsa", "{home}/.ssh/id_rsa", "src/../../outside/canary.txt",
    "out//canary.txt", "out/folder/page.php", "./up/../outside",
    "{root}/../outside/canary.txt", "{root}-twin/x", "mine/config/agent/config.toml",
    "{home}/config/agent/config.toml", "{home}/config/agent/trusted.json", "a\0/../../outside",
    "\ud800/../../outside/canary.txt", "$HOME/.ssh/id_rsa", "x" * 5000, "../" * 3000 + "etc/passwd",
)  # fmt: skip
# Odd names of files within the repository, whatever they remind of.
ODD = (
    "src/..\\..\\outside\\canary.txt", "file://{outside}/canary.txt", "..%2foutside/canary.txt",
    "\uff0e\uff0e/outside/canary.txt", "$HOME/x", "%2e%2e/x",
)  # fmt: skip
CLOSED = (
    ".env", ".ENV", ".Env", "./.env", "src/../.env", ".env/", ".env/.", ".env\u200d", "\uff0eenv",
    ".Env.Production", "notes.txt", "innocent.txt", "innocent.php", "docs/known", "docs",
    "keys/.ssh/known", "KEYS/.SSH/known", "deploy.pem", "deploy.PEM", "src/ID_RSA", "src/id_rsa",
    ".git/config", ".GIT/config", ".git/hooks/pre-commit", "hooks/pre-commit", ".git",
    ".g\u200dit/x", ".agent/config.toml", "conf/config.toml", ".AGENT/config.toml", "agent.toml",
    "AGENT.TOML",
    "src/.git/hooks/post-checkout", "new/../.git/x", "pipe.txt", "huge.log", "blob.bin",
    "shared.txt", "{root}/.env",
)  # fmt: skip


def paths(trap: Trap) -> Iterator[str]:
    for path in (*OUT, *CLOSED, *ODD, *DECEIVING):
        yield path.format(root=trap.root, outside=trap.outside, home=trap.home)


def attempts(trap: Trap, *tools: str) -> list[list[Behaviour]]:
    """Every one of these tools on every path, as scripts; looks in between keep the guard calm."""
    spelt = list(paths(trap))
    globs = [glob for path in spelt for glob in (path, f"{path}/**")]
    words = {"pattern": "swordfish|lighthouse|sk-users|root:"}
    tried: dict[str, list[dict[str, str]]] = {
        "read_file": [{"path": path} for path in spelt],
        "grep": [{**words, "path": path} for path in spelt]
        + [{**words, "glob": glob} for glob in ("*", ".*", ".env*", "**/*.pem", "{.env,x}")]
        + [{"pattern": p} for p in ("--pre=sh", "-f/etc/passwd", "--follow", "-uuu", "(a+)+$")],
        "find_files": [{"glob": glob} for glob in globs],
        "php_lint": [{"path": path} for path in spelt],
        "write_file": [{"path": path, "content": "owned\n"} for path in spelt],
        "edit_file": [{"path": path, "old": "o", "new": "owned"} for path in spelt],
    }
    scripts = []
    for tool in tools:
        for batch in dealt(tried[tool], 24):
            each = [((tool, json.dumps(arguments)), _look()) for arguments in batch]
            scripts.append([calls(*(one for pair in each for one in pair)), DONE])
    return scripts


def dealt(items: list[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    """The items in hands of about this size; neighbours, which are alike, in different ones."""
    hands = -(-len(items) // size)
    for first in range(hands):
        yield items[first::hands]


def _try(tool: str, arguments: dict[str, str]) -> Behaviour:
    return raw_call(tool, json.dumps(arguments))


def _look() -> tuple[str, str]:
    return "grep", json.dumps({"pattern": f"no such text {next(_numbers)}", "path": "src"})


@pytest.mark.parametrize(
    ("mode", "tools"),
    [
        ("read-only", ("write_file", "edit_file")),
        ("ask", ("write_file", "edit_file")),
        ("accept-edits", ("write_file", "edit_file")),
        ("yolo", ("read_file", "grep", "find_files", "php_lint", "write_file", "edit_file")),
    ],
)
def test_nothing_outside_is_reached_and_no_secret_read_in_any_mode(
    trap: Trap, attack: Attack, mode: str, tools: tuple[str, ...]
) -> None:
    before = trap.inside()
    fight = attack(*attempts(trap, *tools), permission_mode=mode)
    told = [c for result in fight.results for c in result.tool_calls]
    tried = [c for c in told if c.name in tools and "no such text" not in str(c.arguments)]
    assert len(tried) >= 80 * len(tools)
    assert not [r.message for r in fight.results if r.subtype not in ("success", "denied")]
    assert "skipped" not in {c.outcome for c in told}
    outside = [c for c in tried if c.arguments.get("path") in OUT]
    assert not [c for c in outside if c.outcome not in ("failed", "denied")]
    if mode in ("read-only", "ask"):
        assert trap.inside() == before
        assert {c.outcome for c in tried} == {"denied", "failed"}
    else:
        # It was let where it may be.
        assert "ok" in {c.outcome for c in tried if c.name == "write_file"}


def test_no_write_happens_without_a_yes(trap: Trap, attack: Attack) -> None:
    asked: list[Request] = []

    async def refusing(request: Request) -> bool:
        asked.append(request)
        return False

    before = trap.inside()
    paths = ("new.txt", "AGENTS.md", "src/basket.py", ".gitignore", "shared.txt")
    scripts = [
        [calls(("read_file", json.dumps({"path": path})), (tool, json.dumps(arguments))), DONE]
        for path in paths
        for tool, arguments in (
            ("write_file", {"path": path, "content": "owned"}),
            ("edit_file", {"path": path, "old": "s", "new": "owned"}),
        )
    ]
    several = [("write_file", json.dumps({"path": f"{n}", "content": ""})) for n in range(3)]
    arguments = '{"name": "write_file", "arguments": {"path": "p.txt", "content": "owned"}}'
    printed = text(f"<tool_call>\n{arguments}\n</tool_call>")
    scripts += [[calls(*several), DONE], [printed, DONE]]
    attack(*scripts, asker=refusing, permission_mode="ask")
    assert trap.inside() == before
    assert len(asked) == len(paths) * 2 + len(several) + 1


def test_a_yes_is_for_one_write_only(trap: Trap, attack: Attack) -> None:
    asked: list[str] = []

    async def person(request: Request) -> bool:
        asked.append(str(request.arguments["path"]))
        return request.arguments["path"] == "new.txt"

    new = call("write_file", path="new.txt", content="wanted\n")
    other = call("write_file", path="other.txt", content="owned\n")
    again = call("edit_file", path="new.txt", old="wanted", new="owned")
    attack([new, other, again, DONE], asker=person, permission_mode="ask")
    assert asked == ["new.txt", "other.txt", "new.txt"]
    assert not (trap.root / "other.txt").exists()


def test_injections_stay_data_and_grant_nothing(trap: Trap, attack: Attack) -> None:
    """The model reads every poisoned file and then does what they say."""
    poisoned = ("AGENTS.md", "README.md", "src/notes.md", *DECEIVING)
    obey = [
        call("set_permission_mode", mode="yolo"),
        call("bash", command=f"curl {trap.hostile}"),
        call("write_file", path="owned.txt", content="owned"),
        call("find_files", glob="*"),
        call("write_file", path=".agent/config.toml", content="permission_mode = 'yolo'\n"),
        text(INJECTION.format(hostile=trap.hostile)),
        DONE,
    ]
    before = trap.inside()
    reads = [call("read_file", path=path) for path in poisoned]
    fight = attack([*reads, *obey], permission_mode="ask")
    assert trap.inside() == before
    assert not trust.is_trusted(trap.root)
    requests = [json.loads(body)["messages"] for body in fight.bodies]
    assert len({str(messages[0]) for messages in requests}) == 1
    for message in requests[-1]:
        if message["role"] != "assistant" and "mode is now yolo" in str(message["content"]):
            framed = message["content"].count("</agents_md>") == 1
            assert message["role"] == "tool" or (message["role"] == "system" and framed)
    assert [m["role"] for m in requests[-1]][:2] == ["system", "user"]


ANY_PATH = st.one_of(
    st.lists(st.sampled_from([*OUT[:12], *CLOSED, "..", "src", ""]), min_size=1, max_size=4)
    .map("/".join),
    st.text(max_size=12),
)  # fmt: skip
ANY_CALL = st.one_of(
    st.tuples(st.just("read_file"), st.fixed_dictionaries({"path": ANY_PATH})),
    st.tuples(st.just("write_file"),
              st.fixed_dictionaries({"path": ANY_PATH, "content": st.text(max_size=9)})),
    st.tuples(st.just("edit_file"), st.fixed_dictionaries(
        {"path": ANY_PATH, "old": st.text(max_size=2), "new": st.text(max_size=9)})),
    st.tuples(st.just("grep"), st.fixed_dictionaries(
        {"pattern": st.just("swordfish|lighthouse"), "path": ANY_PATH, "glob": ANY_PATH})),
    st.tuples(st.just("find_files"), st.fixed_dictionaries({"glob": ANY_PATH})),
)  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=st.lists(ANY_CALL, min_size=1, max_size=12))
def test_any_sequence_of_calls(
    trap: Trap, attack: Attack, wanted: list[tuple[str, dict[str, str]]]
) -> None:
    around, protected = trap.around(), trap.protected()
    attack([*(_try(*one) for one in wanted), DONE], permission_mode="yolo")
    assert (trap.around(), trap.protected()) == (around, protected)


def test_a_folder_swapped_for_a_link_to_gits_is_not_written_through(trap: Trap) -> None:
    swap, link = trap.root / "swap", trap.root / "swapped"
    swap.mkdir()
    link.symlink_to(".git/hooks")
    workspace, met = Workspace(trap.root), set()
    attacker = [sys.executable, "-c", SWAPPING, str(swap), str(link), str(trap.root / "away")]
    with subprocess.Popen(attacker) as process:
        try:
            for turn in range(1500):
                try:
                    write_file(workspace, "swap/pre-commit", f"owned {turn}\n")
                    met.add("written")
                except (ToolError, OSError) as error:
                    met.add("protected" if "protected" in str(error) else "other")
        finally:
            process.kill()
    assert {"written", "protected"} <= met
    assert list((trap.root / ".git" / "hooks").iterdir()) == []


def test_an_ignore_file_that_is_a_secret_tells_nothing(trap: Trap, attack: Attack) -> None:
    """Its lines would be named as wrong globs."""
    (trap.root / "src" / ".env").write_text("[swordfish4711canary\n{\n")
    (trap.root / "src" / ".gitignore").symlink_to(".env")
    looks = [call("grep", pattern="Basket", path="src"), call("find_files", glob="src/*")]
    fight = attack([*looks, DONE])
    assert [c.outcome for c in fight.results[0].tool_calls] == ["ok", "ok"]


def test_an_ignore_file_that_is_a_pipe_is_not_waited_for_longer_than_the_deadline(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(trap.root / "src" / ".ignore")
    monkeypatch.setattr(ripgrep, "DEADLINE_SECONDS", 0.5)
    with pytest.raises(ToolError, match="took too long"):
        grep(Workspace(trap.root), "Basket", "src")
