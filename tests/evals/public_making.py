"""Tiny files in the formats of the public sets, and requests to an endpoint with a script."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.connect import Endpoint
from agent.settings import Settings
from agent_evals.public.cases import PublicCase
from agent_evals.public.run import ask
from agent_evals.store import Row
from tests.scripted_endpoint import Behaviour, ScriptedEndpoint

AREA = {
    "name": "shape.area",
    "description": "Area of a shape.",
    "parameters": {
        "type": "dict",
        "properties": {
            "shape": {"type": "string", "enum": ["square", "circle"]},
            "side": {"type": "float", "description": "Its side."},
            "unit": {"type": "string"},
        },
        "required": ["shape", "side"],
    },
}
BMI = {
    "name": "body_mass",
    "description": "Body mass index.",
    "parameters": {"type": "dict", "properties": {"kilos": {"type": "integer"}}},
}


def write(path: Path, *rows: Any) -> Path:
    """A file with a JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bfcl_row(name: str, question: str, *functions: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "question": [[{"role": "user", "content": question}]],
        "function": list(functions),
    }


def bfcl(folder: Path) -> Path:
    """A folder with a positive category, its answers, and a negative one."""
    simple = bfcl_row("simple_python_0", "Area of a square of side 3?", AREA)
    write(folder / "BFCL_v4_simple_python.json", simple)
    truth = [{"shape.area": {"shape": ["square"], "side": [3], "unit": ["cm", ""]}}]
    answer = {"id": "simple_python_0", "ground_truth": truth}
    write(folder / "possible_answer" / "BFCL_v4_simple_python.json", answer)
    other = bfcl_row("irrelevance_0", "Area of a square of side 3?", BMI)
    write(folder / "BFCL_v4_irrelevance.json", other)
    return folder


def replies(cases: Sequence[PublicCase], *script: Behaviour) -> tuple[list[Row], list[Any]]:
    """The results of the cases, one after the other, and the requests they made."""

    async def all_of(endpoint: Endpoint) -> list[Row]:
        return [await ask(case, endpoint, Settings(retries=0)) for case in cases]

    with ScriptedEndpoint(script) as server:
        rows = asyncio.run(all_of(Endpoint(server.base_url, "scripted", "none")))
        return rows, server.requests


def reply(case: PublicCase, behaviour: Behaviour) -> Row:
    return replies([case], behaviour)[0][0]
