"""From a request's body to a job for the engine, refusing what cannot be honoured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agent.serving import toolcalls
from agent.serving.chat import encode_prompt
from agent.serving.copying import CopyBonus
from agent.serving.engine import Event, Job
from agent.serving.errors import ApiError
from agent.serving.grammar import Constraint, GrammarError, Grammars
from agent.serving.sampling import Sampling
from agent.serving.schema import ChatRequest, NamedTool, Tool
from agent.serving.tokenizer import Tokenizer
from agent.serving.toolcalls import ToolCall
from agent.serving.transcript import HERMES, CallFormat, Transcript
from agent.serving.weights import Served

DEFAULT_MAX_TOKENS = 4096
"""An answer without a limit of its own still ends, even when the model would not end it."""

MODEL_ALIAS = "default"


def read(body: bytes) -> ChatRequest:
    """The validated request. Raises ApiError 400 naming the first thing that is wrong."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{where}: {first['msg']}" if where else first["msg"]
        raise ApiError(400, message, param=where or None) from None


@dataclass(frozen=True)
class Plan:
    """What a request's tools and formats ask of generation."""

    offered: list[Tool]
    matcher: Any | None
    forced: bool
    call_format: CallFormat | None


def prepare(
    request: ChatRequest, served: Served, grammars: Grammars, emit: Callable[[Event], None]
) -> Job:
    """A job for the engine. Raises ApiError for what this model cannot do."""
    tokenizer = served.tokenizer
    plan = _plan(request, tokenizer, grammars)
    prompt = _prompt(request, tokenizer)
    if len(prompt) >= served.window:
        raise ApiError(
            400,
            f"the prompt has {len(prompt)} tokens, but the context window of this model is"
            f" {served.window} tokens",
            code="context_length_exceeded",
            param="messages",
        )
    room = served.window - len(prompt)
    return Job(
        prompt=prompt,
        max_tokens=min(request.token_limit or DEFAULT_MAX_TOKENS, room),
        sampling=_sampling(request, served.width),
        transcript=Transcript(
            tokenizer,
            stops=request.stop_texts,
            calls=plan.call_format,
            one_call=request.parallel_tool_calls is False,
            thinking=_opens_thought(tokenizer, prompt),
        ),
        constraint=Constraint(grammars, plan.matcher, plan.forced),
        emit=emit,
        copying=CopyBonus(prompt, tokenizer, served.copy_bonus) if served.copy_bonus else None,
    )


def _prompt(request: ChatRequest, tokenizer: Tokenizer) -> list[int]:
    messages = [message.model_dump(exclude_none=True) for message in request.messages]
    tools = [tool.model_dump(exclude_none=True) for tool in request.tools or []]
    try:
        prompt = encode_prompt(tokenizer, messages, tools)
    except Exception as error:  # templates refuse conversations with errors of any kind
        reason = str(error).partition("\n")[0]
        raise ApiError(400, f"the chat template refuses it: {reason}", param="messages") from error
    if not prompt:
        raise ApiError(400, "the messages make an empty prompt", param="messages")
    return prompt


def _plan(request: ChatRequest, tokenizer: Tokenizer, grammars: Grammars) -> Plan:
    offered = _offered(request)
    schema = _answer_schema(request)
    forced = request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)
    if offered and not tokenizer.is_hermes and tokenizer.foreign_calls is None:
        raise ApiError(400, "this model does not support tools", "tools_not_supported", "tools")
    if offered and not tokenizer.is_hermes:
        if forced:
            raise ApiError(
                400, "this model's tool calls cannot be forced", "unsupported", "tool_choice"
            )
        matcher = _compile(lambda: grammars.json(schema)) if schema is not None else None
        return Plan(offered, matcher, schema is not None, _foreign(tokenizer, offered))
    functions = [tool.function.model_dump() for tool in offered]
    many = request.parallel_tool_calls is not False
    if not offered and schema is None:
        return Plan([], None, False, None)
    if schema is None or forced:
        matcher = _compile(lambda: grammars.calls(functions, many))
    elif offered:
        matcher = _compile(lambda: grammars.calls_or_json(functions, many, schema))
    else:
        matcher = _compile(lambda: grammars.json(schema))
    return Plan(offered, matcher, forced or schema is not None, HERMES if offered else None)


def _offered(request: ChatRequest) -> list[Tool]:
    """The tools that may be called now."""
    tools = request.tools or []
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise ApiError(400, "two tools have the same name", param="tools")
    choice = request.tool_choice
    if choice == "none":
        return []
    if isinstance(choice, NamedTool):
        named = [tool for tool in tools if tool.function.name == choice.function.name]
        if not named:
            raise ApiError(
                400, f"tool_choice names no tool: {choice.function.name}", param="tool_choice"
            )
        return named
    if choice == "required" and not tools:
        raise ApiError(400, "tool_choice is required but there are no tools", param="tool_choice")
    return tools


def _answer_schema(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_schema" and wanted.json_schema is not None:
        return wanted.json_schema.schema_
    return {"type": "object"}


def _compile(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except GrammarError as error:
        raise ApiError(400, f"invalid schema: {error}", code="invalid_schema") from error


def _foreign(tokenizer: Tokenizer, offered: list[Tool]) -> CallFormat:
    """Calls in another format, read by mlx-lm's parser and then checked by us."""
    assert tokenizer.foreign_calls is not None
    start, end, parser = tokenizer.foreign_calls
    schemas = [tool.model_dump(exclude_none=True) for tool in offered]
    required = {
        tool.function.name: (tool.function.parameters or {}).get("required", []) for tool in offered
    }

    def read_calls(text: str) -> list[ToolCall]:
        parsed = parser(text, schemas)
        calls = []
        for item in parsed if isinstance(parsed, list) else [parsed]:
            call = toolcalls.from_object(item)
            missing = [key for key in required[call.name] if f'"{key}"' not in call.arguments]
            if missing:
                raise ValueError(f"missing arguments: {missing}")
            calls.append(call)
        return calls

    return CallFormat(read_calls, start, end, by_token=False)


def _opens_thought(tokenizer: Tokenizer, prompt: list[int]) -> bool:
    """Some templates end the prompt inside a thought."""
    if tokenizer.thinking is None:
        return False
    start, end = tokenizer.thinking
    tail = tokenizer.decode(prompt[-16:])
    return tail.rfind(start) > tail.rfind(end)


def _sampling(request: ChatRequest, width: int) -> Sampling:
    bias = {}
    for text, value in (request.logit_bias or {}).items():
        if not text.isdecimal() or int(text[:12]) >= width or not -100 <= value <= 100:
            raise ApiError(
                400,
                f"logit_bias maps token ids below {width} to numbers from -100 to 100",
                param="logit_bias",
            )
        bias[int(text)] = value
    return Sampling(
        temperature=request.temperature or 0.0,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=request.top_k or 0,
        min_p=request.min_p or 0.0,
        seed=request.seed,
        repetition_penalty=request.repetition_penalty,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logit_bias=bias,
    )
