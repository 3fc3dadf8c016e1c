"""Loading a plain model folder without transformers, whose import takes a second.

mlx-lm imports transformers only to read tokenizers of every kind. A folder with everything in
tokenizer.json and a chat template, as our own models are, needs none of it. Any folder that says
something this module does not know is left to mlx-lm and transformers.
"""

import contextlib
import json
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_TOKENS = {"bos_token", "eos_token", "pad_token", "unk_token"}
_FAST = {"PreTrainedTokenizerFast", "TokenizersBackend"}
_KNOWN = {
    *_TOKENS,
    *("tokenizer_class", "tool_parser_type", "clean_up_tokenization_spaces", "model_max_length"),
}
_OTHER_FILES = ("special_tokens_map.json", "added_tokens.json", "tokenizer.model")
_HERMES = ("<tool_call>", "tool_call.name")
_UNKNOWN = re.compile(r"{%-?\s*generation|strftime_now|<function|<arg_key>|\[TOOL_CALLS\]|<think")
_THINKING = re.compile(r"<.*(think|channel|open).*>")


def suits(folder: Path) -> bool:
    """Whether nothing in the folder's tokenizer needs transformers."""
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    if not all((folder / name).is_file() for name in names):
        return False
    if any((folder / name).exists() for name in _OTHER_FILES):
        return False
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    except (ValueError, KeyError):
        return False
    template = (folder / "chat_template.jinja").read_text()
    special = {token["content"] for token in added if token["special"]}
    return (
        settings.keys() <= _KNOWN
        and settings.get("tokenizer_class") in _FAST
        and settings.get("tool_parser_type", "json_tools") == "json_tools"
        and {settings[key] for key in settings.keys() & _TOKENS} <= special
        and not any(_THINKING.fullmatch(token["content"]) for token in added)
        and all(word in template for word in _HERMES)
        and not _UNKNOWN.search(template)
    )


class LeanTokenizer:
    """A folder that `suits`, with what `Tokenizer` asks of mlx-lm's wrapper."""

    has_chat_template = True
    has_thinking = False

    def __init__(self, folder: Path, eos_token_ids: int | Sequence[int] | None) -> None:
        import tokenizers
        from mlx_lm.tool_parsers import json_tools

        self.backend_tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        self._tokens = {key: settings[key] for key in _TOKENS & settings.keys()}
        ends = [eos_token_ids] if isinstance(eos_token_ids, int) else eos_token_ids or []
        end = self.backend_tokenizer.token_to_id(settings.get("eos_token", ""))
        self.eos_token_ids = {*ends, *([end] if end is not None else [])}
        self.tool_parser = json_tools.parse_tool_call
        self._template = _compile((folder / "chat_template.jinja").read_text())

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool,
        tokenize: bool,
    ) -> str:
        """The text that transformers would render for these messages."""
        return str(
            self._template.render(
                messages=messages,
                tools=tools,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                enable_thinking=False,
                **self._tokens,
            )
        )


def _compile(template: str) -> Any:
    """The template in an environment like the one of transformers."""
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template)


class _Absent:
    """Stands where mlx-lm wants a class of transformers that it will not use."""

    apply_chat_template = None

    @staticmethod
    def register(*args: Any, **options: Any) -> None:
        """As AutoTokenizer has it, without a registry."""


def import_mlx_lm() -> None:
    """Import mlx-lm, without transformers unless that is loaded anyway."""
    if "mlx_lm" in sys.modules or "transformers" in sys.modules:
        import mlx_lm.generate
    else:
        with _stand_in_for_transformers():
            import mlx_lm.generate  # noqa: F401


def make_full() -> None:
    """Forget an mlx-lm without transformers, so that the next import brings both."""
    loaded = sys.modules.get("mlx_lm.tokenizer_utils")
    if getattr(loaded, "AutoTokenizer", None) is _Absent:
        for name in [n for n in sys.modules if n.partition(".")[0] == "mlx_lm"]:
            del sys.modules[name]


@contextlib.contextmanager
def _stand_in_for_transformers() -> Iterator[None]:
    names = {
        "transformers": ("AutoTokenizer", "PreTrainedTokenizer", "PreTrainedTokenizerFast"),
        "transformers.tokenization_utils_base": ("PreTrainedTokenizerBase",),
    }
    for name, classes in names.items():
        module = types.ModuleType(name)
        vars(module).update(dict.fromkeys(classes, _Absent))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
