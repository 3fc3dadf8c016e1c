"""The installed command at a real terminal in a poisoned repository, and interrupted anywhere."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pexpect
import pytest

from agent.exits import Exit
from tests.agent.conftest import environment
from tests.safety.conftest import DECEIVING, Trap
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint, call, calls, hang, stall, text

# What no text of a model, a file or a file's name may bring to a terminal.
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\x0d\x1b")
HOSTILE = "one\x1b]0;owned\x07 two\x9b31m \u202ethree \x1b]8;;http://x\x1b\\four\x1b[2J"


def argv(endpoint: ScriptedEndpoint, *more: str) -> list[str]:
    return [sys.executable, "-m", "agent", "ask", "--base-url", endpoint.base_url, "--model", "m",
            *more, "What is this?"]  # fmt: skip


def variables(trap: Trap) -> dict[str, str]:
    places = {f"XDG_{name.upper()}_HOME": str(trap.home / name)
              for name in ("config", "state", "cache")}  # fmt: skip
    return environment(trap.home, **places, TERM="xterm-256color")


@pytest.mark.parametrize("output_format", ["text", "json", "stream-json"])
def test_no_name_path_result_or_answer_reaches_a_terminal_as_a_command(
    trap: Trap, output_format: str
) -> None:
    wanted = [("find_files", '{"glob": "*"}'), ("grep", '{"pattern": "Permission"}')]
    wanted += [("read_file", json.dumps({"path": name})) for name in (*DECEIVING, HOSTILE)]
    forged = "x)?\nAllow grep(x"
    writes = [call("write_file", path=path, content=HOSTILE) for path in (HOSTILE, forged)]
    script = [calls(*wanted), *writes, call(HOSTILE, x=HOSTILE), text(HOSTILE, size=4)]
    with ScriptedEndpoint(script) as endpoint:
        child = pexpect.spawn(
            sys.executable, argv(endpoint, "--output-format", output_format)[1:],
            cwd=str(trap.root), env=variables(trap), timeout=120, echo=False,
        )  # fmt: skip
        for _ in writes:
            child.expect_exact("[N]o ")
            shown = child.before.decode()
            assert "\nAllow grep" not in shown
            assert not any(mark in shown for mark in OBEYED)
            child.sendline("n")
        child.expect(pexpect.EOF)
        shown = child.before.decode()
        child.close()
    assert "three" in shown and not any(mark in shown for mark in OBEYED)


def interrupted(trap: Trap, script: Sequence[Behaviour], phase: str) -> str:
    """What an interrupted run printed as events; it ended with 130 and without a traceback."""
    pipe = trap.root / "src" / ".ignore"
    with ScriptedEndpoint(script) as endpoint:
        process = subprocess.Popen(
            argv(endpoint, "--output-format", "stream-json"), cwd=trap.root, env=variables(trap),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if phase == "searching":
            writer = os.open(pipe, os.O_WRONLY)  # returns when ripgrep opens it, and then waits
        else:
            assert endpoint.server.asked.wait(120)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in errors) == (Exit.INTERRUPTED, False)
    if phase == "searching":
        with pytest.raises(BrokenPipeError):  # nobody reads: ripgrep is dead
            os.write(writer, b"x")
        os.close(writer)
    return out


@pytest.mark.parametrize("phase", ["waiting", "streaming", "searching"])
def test_ctrl_c_leaves_no_program_running_and_every_file_whole(trap: Trap, phase: str) -> None:
    os.mkfifo(trap.root / "src" / ".ignore")
    before = trap.inside()
    script = {
        "waiting": [hang()],
        "streaming": [stall("It is")],
        "searching": [call("grep", pattern="Basket", path="src"), text("Done.")],
    }[phase]
    *_, last = interrupted(trap, script, phase).splitlines()
    assert json.loads(last)["subtype"] == "interrupted"
    assert trap.inside() == before


def test_ctrl_c_at_the_question_is_a_no(trap: Trap) -> None:
    before = trap.inside()
    script = [call("edit_file", path="src/basket.py", old="pass", new="owned"), text("Done.")]
    with ScriptedEndpoint(script) as endpoint:
        child = pexpect.spawn(
            sys.executable, argv(endpoint)[1:], cwd=str(trap.root), env=variables(trap), timeout=120
        )
        child.expect_exact("[N]o ")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == Exit.INTERRUPTED
    assert trap.inside() == before
