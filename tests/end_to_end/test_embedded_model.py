"""What ships is what the card says, and serving it changes nothing that the model would do."""

import hashlib
import json
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.serving import blas, lean, local
from agent.serving.chat import render
from agent_tools import TOOLS, Workspace

FOLDER = Path(__file__).parents[2] / "src" / "agent" / "embedded"
QUESTIONS = [
    "where is HttpKernel defined?",
    "who calls parse_header",
    "what is a race condition?",
    "list all functions in src/main.go",
    "which php files are there",
]


def offered() -> list[dict[str, Any]]:
    from agent.assistant import _tool
    from agent.permissions import Rules

    definitions = [_tool(tool, Workspace(FOLDER), Rules()).tool_def for tool in TOOLS]
    return [
        {
            "type": "function",
            "function": {"name": d.name, "parameters": d.parameters_json_schema},
        }
        for d in definitions
    ]


def test_it_is_small_enough() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 16 * 2**20


def test_the_card_names_the_weights_it_describes() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert digest in card


def test_a_grammar_does_not_change_what_the_model_says_anyway(tmp_path: Path) -> None:
    """Constrained decoding admits the model's own tokens, so nothing is lost by it."""
    folder = tmp_path / "without_copy_bonus"
    shutil.copytree(FOLDER, folder)
    (folder / "generation_config.json").write_text('{"eos_token_id": 1}')
    lean.make_full()
    blas.use_fast_blas()
    import mlx.core as mx
    from mlx_lm import generate, load
    from openai import OpenAI

    with closing(local.start(str(folder), None)) as endpoint:
        client = OpenAI(base_url=endpoint.base_url, api_key=endpoint.token)
        model, tokenizer = load(str(folder))
        model.set_dtype(mx.float32)
        for question in QUESTIONS:
            messages: Any = [{"role": "user", "content": question}]
            tools: Any = offered()
            prompt = render(tokenizer, messages, tools)
            free = generate(model, tokenizer, prompt, max_tokens=80)
            served = client.chat.completions.create(
                model=endpoint.model, messages=messages, tools=tools, temperature=0, max_tokens=80
            )
            message = served.choices[0].message
            called = re.search(r"<tool_call>\n(.*)\n</tool_call>", free, re.DOTALL)
            if called and message.tool_calls:
                made: Any = message.tool_calls[0]
                call = json.loads(called[1])
                assert made.function.name == call["name"]
                assert json.loads(made.function.arguments) == call["arguments"]
            else:
                assert called is None
                assert message.content == free


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_what_mlx_needs_is_there(name: str) -> None:
    assert json.loads((FOLDER / name).read_text(encoding="utf-8"))
