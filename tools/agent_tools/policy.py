"""Which names hold secrets and which are never written: the one home of both lists."""

import re
import unicodedata
from collections.abc import Iterable

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


def _one_of(patterns: Iterable[str]) -> str:
    names = (re.escape(pattern).replace(r"\*", "[^/]*") for pattern in patterns)
    return f"(?:{'|'.join(names)})"


def _component(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.*/)?{names}(?:/.*)?", re.DOTALL)


_SECRET_DIRECTORY = _component(_one_of(SECRET_DIRECTORIES))
_SECRET_FILE = _component(rf"(?!{_one_of(NOT_SECRET)}(?:/|$)){_one_of(SECRET_FILES)}")
_NEVER_WRITTEN = _component(_one_of(NEVER_WRITTEN))


def _folded(path: str) -> str:
    """The path as the most forgiving file system would read it (macOS folds case and more)."""
    if path.isascii():
        return path.lower()
    plain = unicodedata.normalize("NFKC", path).casefold()
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


def is_secret(path: str) -> bool:
    """Whether a `/`-separated relative path names a secret or something below a secret place."""
    folded = _folded(path)
    return bool(_SECRET_FILE.fullmatch(folded) or _SECRET_DIRECTORY.fullmatch(folded))


def in_secret_directory(path: str) -> bool:
    """Whether the path lies in a directory whose very listing is private."""
    return bool(_SECRET_DIRECTORY.fullmatch(_folded(path)))


def is_never_written(path: str) -> bool:
    """Whether the path is, or lies in, Git's directory or our own configuration."""
    return bool(_NEVER_WRITTEN.fullmatch(_folded(path)))
