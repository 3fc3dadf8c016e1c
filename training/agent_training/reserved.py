"""Codebases kept out of training, so that a measurement on them stays honest."""

import re

RESERVED = frozenset(
    """
    attrs click flask httpcore itsdangerous jinja2 markupsafe pluggy requests starlette urllib3
    werkzeug composer league/commonmark monolog nikic/php-parser phpunit ramsey/uuid
    symfony/console twig commander express zod cobra gin
    """.split()  # noqa: SIM905
)
"""The public list: no row may come from them, no example may be about them."""

HELD_OUT = frozenset(
    """
    tenacity structlog prompt-toolkit pydantic-ai openai koa dayjs guzzlehttp/psr7 gorilla/mux
    """.split()  # noqa: SIM905
)
"""Kept for our own evaluation of unseen codebases."""

_PREFIX = re.compile(r"^(php-|python3?-|node-|golang-(github-|go\.)?)")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


_FORBIDDEN = frozenset(_plain(name) for name in RESERVED | HELD_OUT)
_FORBIDDEN_TAILS = frozenset(_plain(name.rpartition("/")[2]) for name in RESERVED)


def is_reserved(package: str) -> bool:
    """Whether a package, under its name in pip, npm, Debian or Go, is held out."""
    plain = _plain(package)
    bare = _plain(_PREFIX.sub("", package.lower()))
    tail = _plain(re.sub(r"-dev$", "", package.lower()).rpartition("/")[2])
    parts = bare.removesuffix("-dev").split("-")
    return (
        bool({plain, bare, tail} & _FORBIDDEN)
        or bare.removesuffix("-dev") in _FORBIDDEN
        or parts[-1] in _FORBIDDEN_TAILS
        or "-".join(parts[-2:]) in _FORBIDDEN | _FORBIDDEN_TAILS
    )
