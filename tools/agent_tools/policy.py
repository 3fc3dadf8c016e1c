"""Which names hold secrets and which are never written: the one home of both lists."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

SECRET_FILES = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".npmrc", ".netrc", "_netrc", ".pypirc",
    ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg", ".vault-token",
    "auth.json", "credentials*",
)  # fmt: skip
SECRET_DIRECTORIES = (".aws", ".ssh", ".gnupg", ".kube")

# Templates without values, and source code that is merely about credentials.
NOT_SECRET = (
    ".env.example", ".env.sample", ".env.template", ".env.dist",
    *(f"credentials*.{suffix}" for suffix in (
        "py", "pyi", "php", "js", "jsx", "ts", "tsx", "go", "rs", "rb", "java", "kt", "swift",
        "c", "h", "cc", "cpp", "hpp", "cs", "scala", "ex", "exs", "vue", "md", "rst", "html",
    )),
)  # fmt: skip

# Git runs what its directory says, and our configuration decides what we may do.
NEVER_WRITTEN = (".git", ".agent", "agent.toml")


def _matcher(patterns: Iterable[str]) -> Callable[[str], object]:
    names = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return re.compile("|".join(names), re.DOTALL).fullmatch


_secret_file = _matcher(SECRET_FILES)
_not_secret = _matcher(NOT_SECRET)
_secret_directory = _matcher(SECRET_DIRECTORIES)
_never_written = _matcher(NEVER_WRITTEN)


def folded(name: str) -> str:
    """The name as the most forgiving file system would read it (macOS folds case and more)."""
    if name.isascii():
        return name.lower()
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


@lru_cache(maxsize=10_000)
def _is_secret_name(name: str) -> bool:
    name = folded(name)
    is_file = _secret_file(name) and not _not_secret(name)
    return bool(is_file or _secret_directory(name))


def is_secret(path: str) -> bool:
    """Whether a `/`-separated relative path names a secret or something below a secret place."""
    return any(map(_is_secret_name, path.split("/")))


def in_secret_directory(path: str) -> bool:
    """Whether the path lies in a directory whose very listing is private."""
    return any(_secret_directory(folded(name)) for name in path.split("/"))


def is_never_written(path: str) -> bool:
    """Whether the path is, or lies in, Git's directory or our own configuration."""
    return any(_never_written(folded(name)) for name in path.split("/"))


def own_places() -> set[Path]:
    """Where the user's settings, sessions and checkpoints are kept, and what they link to."""
    from platformdirs import user_config_path, user_state_path

    settings = user_config_path("agent", appauthor=False)
    places = {settings, user_state_path("agent", appauthor=False)}
    with suppress(OSError):
        places.update(settings.iterdir())
    return places | {place.resolve() for place in places}
