"""Loading without transformers changes nothing but the time it takes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.serving import lean, weights
from agent.serving.chat import render
from agent.serving.tokenizer import Tokenizer
from tests.serving import tiny
from tests.serving.driving import GREP

TEXT = st.text(max_size=20)
ROLES = st.sampled_from(["system", "user", "tool"])
CALLS = st.fixed_dictionaries({"name": TEXT, "arguments": st.dictionaries(TEXT, TEXT, max_size=2)})
MESSAGES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": ROLES, "content": TEXT}),
        st.fixed_dictionaries(
            {
                "role": st.just("assistant"),
                "content": st.none() | TEXT,
                "tool_calls": st.lists(CALLS.map(lambda call: {"function": call}), max_size=2),
            }
        ),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def both(lfm2_folder: Path) -> tuple[Tokenizer, Any]:
    from transformers import AutoTokenizer

    assert lean.suits(lfm2_folder)
    tokenizer = Tokenizer(lean.LeanTokenizer(lfm2_folder, None))
    return tokenizer, AutoTokenizer.from_pretrained(lfm2_folder)


@settings(deadline=None)
@given(messages=MESSAGES, with_tools=st.booleans())
def test_it_renders_and_encodes_what_transformers_does(
    both: tuple[Tokenizer, Any], messages: list[dict[str, Any]], with_tools: bool
) -> None:
    ours, theirs = both
    tools = [GREP] if with_tools else None
    text = render(ours, messages, tools)
    assert text == render(theirs, messages, tools)
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_transformers_is_not_imported(lfm2_folder: Path) -> None:
    program = (
        "import sys\n"
        "from agent.serving import weights\n"
        "served = weights.load(sys.argv[1])\n"
        "assert served.tokenizer.is_hermes\n"
        "print('transformers' in sys.modules)\n"
    )
    assert _run(program, lfm2_folder) == "False\n"


def test_another_model_may_follow_in_the_same_process(lfm2_folder: Path, tmp_path: Path) -> None:
    odd = tiny.build(tmp_path / "odd", "llama")
    _change(odd / "tokenizer_config.json", extra="something unknown")
    program = (
        "import sys\n"
        "from agent.serving import weights\n"
        "first, second = (weights.load(folder) for folder in sys.argv[1:])\n"
        "print('transformers' in sys.modules, first.tokenizer.ends == second.tokenizer.ends)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, lfm2_folder, odd],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True True\n"


@pytest.mark.parametrize(
    "change",
    [{"tokenizer_class": "LlamaTokenizer"}, {"added_tokens_decoder": {}}, {"eos_token": "the"}],
)
def test_what_it_does_not_know_is_left_to_transformers(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = tiny.build(tmp_path / "model", "llama")
    assert lean.suits(folder)
    _change(folder / "tokenizer_config.json", **change)
    assert not lean.suits(folder)


def test_a_folder_without_a_template_cannot_chat(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "model", "llama")
    (folder / "chat_template.jinja").unlink()
    assert not lean.suits(folder)
    with pytest.raises(weights.LoadError, match="no chat template"):
        weights.load(str(folder))


def _change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def _run(program: str, *folders: Path) -> str:
    command = [sys.executable, "-c", program, *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
