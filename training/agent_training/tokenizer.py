"""The embedded model's tokenizer: byte-level BPE made for exact copying.

Spaces are never glued to words, camelCase is split, digits and punctuation stand alone, so an
identifier has the same tokens in a question, in a tool result and inside a JSON string. The
boilerplate of each tool call is a single added token: a call is one choice plus one copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from agent_training import patterns

SPECIAL = (
    "<|pad|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    "<|tools|>",
    "<tool_call>",
    "</tool_call>",
)
PAD, END = SPECIAL[0], SPECIAL[1]

WORD_PIECES = Regex(
    r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{Lo}[\p{Lo}\p{M}]*|\p{N}|\n+| +"
    r"|[^\s\p{L}\p{N}]|\s|."
)

CALL_SKELETON = (
    "grep find_files read_file write_file edit_file php_lint",
    '\n{"name": "grep", "arguments": {"pattern": "',
    '\n{"name": "find_files", "arguments": {"glob": "',
    '\n{"name": "read_file", "arguments": {"path": "',
    '\n{"name": "write_file", "arguments": {"path": "',
    '\n{"name": "edit_file", "arguments": {"path": "',
    '\n{"name": "php_lint", "arguments": {"path": "',
    '", "path": "',
    '", "glob": "',
    '", "start": ',
    ', "end": ',
    '", "content": "',
    '", "old": "',
    '", "new": "',
    '"}}\n',
    "}}\n",
)
# What stands before and after the entity in a canonical pattern, and patterns without entity.
PATTERNS = (
    patterns.define(ENTITY := "Entity").partition(ENTITY)[0],
    patterns.subclasses(ENTITY).partition(ENTITY)[0],
    patterns.importers(ENTITY).partition(ENTITY)[0],
    patterns.any_case(ENTITY).partition(ENTITY)[0],
    r"\s*[:=]",
    patterns.CLASSES,
    patterns.FUNCTIONS,
    patterns.INTERFACES,
    patterns.TESTS,
    patterns.TODOS,
    patterns.ENVIRONMENT,
    patterns.TEST_FRAMEWORKS,
    patterns.VERSION,
    patterns.VERSION_IN_CODE,
    patterns.INSTALL,
    patterns.MANIFESTS,
    patterns.DOCUMENTS,
    patterns.CONFIGURATION,
    patterns.TEST_FILES,
    patterns.SOURCES,
    patterns.TEMPLATES,
    patterns.DOCKER,
    patterns.CI,
    patterns.MIGRATIONS,
    patterns.LICENSE,
    patterns.AUTHORS,
    patterns.DEPENDENCIES,
    patterns.RUNTIME,
    patterns.ENTRY_POINT,
    patterns.GUIDES,
    patterns.CHANGELOG,
    patterns.TASKS,
    patterns.ROUTES,
    patterns.COMMANDS,
    patterns.DATABASE,
)
BOILERPLATE = CALL_SKELETON + tuple(json.dumps(p, ensure_ascii=False)[1:-1] for p in PATTERNS)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE of at most `vocab_size` entries, special and boilerplate tokens included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORD_PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(BOILERPLATE),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    add_boilerplate(tokenizer, BOILERPLATE)
    return tokenizer


def add_boilerplate(tokenizer: Tokenizer, texts: Iterable[str]) -> None:
    """Make each text one token; not special, so decoding keeps it."""
    tokenizer.add_tokens(
        [AddedToken(t, normalized=False, special=False, single_word=False) for t in texts]
    )


def save(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and the chat template into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "tool_parser_type": "json_tools",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    template = Path(__file__).with_name("chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template)
