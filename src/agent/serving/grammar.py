"""Grammars from a request's own tools or schema, and their effect on each next token.

Free text stays free: only after the `<tool_call>` token does the grammar decide. Until then three
fixed masks are enough, chosen on the device, so that generation never waits for us.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from agent.serving.tokenizer import HERMES_END, HERMES_START, Tokenizer

JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Text that must follow may still be spelt by any tokens: a model trained on one token for
# `{"name": "grep", "arguments": {"pattern": "` is lost when made to begin it with a line break.
NO_FORCING = '%llguidance {"no_forcing": true}'
MAX_CALLS = 16
MAX_DEPTH = 32
MAX_BLANKS = 8
"""So many tokens in a row may show nothing before the answer's first word."""
MAX_GRAMMAR = 256 * 1024


class GrammarError(ValueError):
    """A schema that cannot be made into a grammar; the message says why."""


class Grammars:
    """Compiles grammars for one tokenizer and keeps the latest, since agents repeat their tools.

    `width`: number of logits of the model, at least the size of the tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.width = width
        self.masks = Masks(tokenizer, width)
        self.start = tokenizer.control.get(HERMES_START, -1)
        self._matcher = lru_cache(maxsize=64)(self._compile)

    def calls(self, tools: Sequence[Mapping[str, Any]], many: bool) -> Any:
        """Matcher of one or (`many`) several Hermes calls of `tools` [{name, parameters}]."""
        return self._matcher(self._rules("calls", tools, many, None))

    def calls_or_json(
        self, tools: Sequence[Mapping[str, Any]], many: bool, schema: Mapping[str, Any]
    ) -> Any:
        """Matcher of calls of `tools`, or else of an answer that fits `schema`."""
        return self._matcher(self._rules("calls | answer", tools, many, schema))

    def json(self, schema: Mapping[str, Any]) -> Any:
        """Matcher of an answer that fits `schema`."""
        return self._matcher(self._rules("answer", [], False, schema))

    def _rules(
        self,
        start: str,
        tools: Sequence[Mapping[str, Any]],
        many: bool,
        schema: Mapping[str, Any] | None,
    ) -> str:
        rules = [NO_FORCING, f"start: {start}"]
        if tools:
            ids = self._tokenizer.control
            more = f' ("\\n"? call){{0,{MAX_CALLS - 1}}}' if many else ""
            rules += [
                f"calls: call{more}",
                f'call: <[{ids[HERMES_START]}]> "\\n" body "\\n" <[{ids[HERMES_END]}]>',
                "body: " + " | ".join(f"tool{i}" for i in range(len(tools))),
            ]
        for i, tool in enumerate(tools):
            head = json.dumps(f'{{"name": {json.dumps(tool["name"])}, "arguments": ')
            rules += [
                f'tool{i}: {head} arguments{i} "}}"',
                f"arguments{i}: {_json_rule(_object(tool.get('parameters')))}",
            ]
        if schema is not None:
            rules.append(f"answer: {_json_rule(schema)}")
        grammar = "\n".join(rules)
        if len(grammar) > MAX_GRAMMAR:
            raise GrammarError(f"the schemas are larger than {MAX_GRAMMAR // 1024} KiB")
        return grammar

    def _compile(self, grammar: str) -> Any:
        from llguidance import LLMatcher

        with self._lock:
            matcher = LLMatcher(self._vocabulary, grammar, log_level=0)
            if matcher.is_error() and "Unimplemented" in matcher.get_error():
                lenient = grammar.replace(_guidance(), _guidance(lenient=True))
                matcher = LLMatcher(self._vocabulary, lenient, log_level=0)
        if matcher.is_error():
            raise GrammarError(matcher.get_error().partition("\n")[0][:300])
        return matcher

    @cached_property
    def _vocabulary(self) -> Any:
        from llguidance import LLTokenizer

        return LLTokenizer(
            self._tokenizer.backend.to_str(),
            n_vocab=max(self.width, self._tokenizer.size),
            eos_token=sorted(self._tokenizer.ends),
        )


def _guidance(lenient: bool = False) -> str:
    style = {**JSON_STYLE, "lenient": True} if lenient else JSON_STYLE
    return f'"x-guidance": {json.dumps(style)}'


def _json_rule(schema: Mapping[str, Any]) -> str:
    _check_depth(schema)
    clean = {key: value for key, value in schema.items() if key != "x-guidance"}
    text = json.dumps(clean)
    return f"%json {text[:-1]}{', ' if clean else ''}{_guidance()}}}"


def _object(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A tool's parameters: an object, and closed unless the tool says otherwise."""
    schema = dict(schema or {})
    if schema.setdefault("type", "object") != "object":
        raise GrammarError("the parameters of a tool must be of type object")
    schema.setdefault("properties", {})
    schema.setdefault("additionalProperties", False)
    return schema


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise GrammarError(f"the schema is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, str | int | float | None):
        for item in value:
            _check_depth(item, depth + 1)


class Masks:
    """Fixed additive masks over the vocabulary: 0 where allowed, minus infinity where not."""

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        self._tokenizer = tokenizer
        self._width = width

    @cached_property
    def free(self) -> Any:
        """No control token but an end of turn: nobody sees a template's markers as text."""
        return self._without(self._markers)

    @cached_property
    def free_or_call(self) -> Any:
        """As `free`, with `<tool_call>` allowed."""
        return self._without(self._markers - {self._tokenizer.control.get(HERMES_START, -1)})

    @cached_property
    def no_end(self) -> Any:
        """No end of turn: an answer needs some text first."""
        return self._without(self._tokenizer.ends)

    @cached_property
    def no_blank(self) -> Any:
        """As `no_end`, and nothing that shows nothing: else silence goes on to the last token."""
        return self._without(self._tokenizer.ends | self.blanks)

    @cached_property
    def only_end(self) -> Any:
        """Nothing but an end of turn."""
        return self._without(set(range(self._width)) - self._tokenizer.ends)

    @cached_property
    def blanks(self) -> frozenset[int]:
        """Tokens that show nothing."""
        return frozenset(self._tokenizer.blank_ids)

    @cached_property
    def blank(self) -> Any:
        """The same as bool (width,)."""
        import mlx.core as mx
        import numpy as np

        blank = np.zeros(self._width, dtype=bool)
        blank[[i for i in self.blanks if i < self._width]] = True
        return mx.array(blank)

    @property
    def _markers(self) -> set[int]:
        if not self._tokenizer.is_hermes:  # other formats put their calls between such tokens
            return set()
        thinking = {self._tokenizer.control.get(t) for t in self._tokenizer.thinking or ()}
        return set(self._tokenizer.control.values()) - self._tokenizer.ends - thinking

    def _without(self, banned: Any) -> Any:
        import mlx.core as mx
        import numpy as np

        mask = np.zeros(self._width, dtype=np.float32)
        mask[self._tokenizer.size :] = -np.inf
        mask[[i for i in banned if 0 <= i < self._width]] = -np.inf
        return mx.array(mask)


class Constraint:
    """One request's grammar as a logits processor of mlx-lm.

    The processor runs while the newest token is still being computed: what `observe` was told
    lags by one, so in free text the newest token is only compared on the device.
    """

    def __init__(self, grammars: Grammars, matcher: Any | None, forced: bool) -> None:
        """`matcher` None: no calls; `forced`: the grammar decides from the first token on."""
        self._masks = grammars.masks
        self._width = grammars.width
        self._start = grammars.start
        self._calls = matcher
        self._matcher = matcher.deep_copy() if matcher is not None and forced else None
        self._sampled = 0
        self._shown = False
        self._blanks = 0

    def observe(self, token: int, shows: bool) -> None:
        """Told of every token in order, before the processor sees the next but one."""
        self._shown = self._shown or shows
        self._blanks = self._blanks + 1 if token in self._masks.blanks else 0
        if self._matcher is None and self._calls is not None and token == self._start:
            self._matcher = self._calls.deep_copy()
            self._matcher.consume_token(token)

    def __call__(self, context: Any, logits: Any) -> Any:
        """`context` int32 (n,), `logits` (1, width). Raises GrammarError off the grammar."""
        first, self._sampled = self._sampled == 0, self._sampled + 1
        if self._matcher is None:
            return logits + self._free(context[-1], first)
        if not first:
            self._consume(int(context[-1].item()))
        return logits + self._next_mask(self._matcher)

    def _free(self, newest: Any, first: bool) -> Any:
        import mlx.core as mx

        mask = self._masks.free if self._calls is None else self._masks.free_or_call
        if not self._shown:
            shown = mx.array(False) if first else mx.logical_not(self._masks.blank[newest])
            silent = self._masks.no_end if self._blanks < MAX_BLANKS else self._masks.no_blank
            mask = mask + mx.where(shown, mx.array(0.0), silent)
        if self._calls is None or first:
            return mask
        return mx.where(newest == self._start, self._after_start, mask)

    @cached_property
    def _after_start(self) -> Any:
        assert self._calls is not None
        matcher = self._calls.deep_copy()
        matcher.consume_token(self._start)
        return self._next_mask(matcher)

    def _consume(self, token: int) -> None:
        assert self._matcher is not None
        if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
            raise GrammarError(f"token {token} is off the grammar: {self._matcher.get_error()}")

    def _next_mask(self, matcher: Any) -> Any:
        import mlx.core as mx
        import numpy as np
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        if matcher.is_stopped():
            if matcher.is_error():
                raise GrammarError(matcher.get_error())
            return self._masks.only_end
        bits = allocate_token_bitmask(1, self._width)
        fill_next_token_bitmask(matcher, bits)
        allowed = np.unpackbits(bits.view(np.uint8), bitorder="little")[: self._width]
        return mx.array(np.where(allowed, np.float32(0), np.float32(-np.inf)))
