"""Fetch the pinned real packages that questions are asked about, each as one codebase folder."""

import gzip
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent_training.reserved import is_reserved

MAX_FILE_BYTES = 150_000
_SKIPPED_SUFFIXES = (".min.js", ".map", ".po", ".mo", ".lock", ".whl", ".pyc", ".pack.js")
_SKIPPED_FOLDERS = {"node_modules", "locale", "locales", "__pycache__", ".git", "PKG-INFO"}


class SourceError(Exception):
    """A codebase that cannot be fetched; the message says why."""


@dataclass(frozen=True)
class Source:
    """One codebase: a pinned package, or some folders (`only`) of it."""

    name: str
    kind: str
    """`pip`, `npm` or `deb`."""
    package: str
    version: str
    licence: str
    root: str = ""
    """Folder of the unpacked package that becomes the codebase's root."""
    only: tuple[str, ...] = ()
    """Folders to keep, besides the files directly in the root; empty keeps all."""


def load(table: Iterable[dict[str, object]]) -> list[Source]:
    """The sources of a recipe. Raises SourceError for a reserved package."""
    sources = []
    for entry in table:
        values = {**entry, "only": tuple(entry.get("only", ()))}  # type: ignore[arg-type]
        source = Source(**values)  # type: ignore[arg-type]
        if is_reserved(source.package):
            raise SourceError(f"{source.package} is reserved for evaluation; remove it.")
        sources.append(source)
    return sources


def fetch(source: Source, cache: Path) -> Path:
    """The codebase's folder below `cache`, downloaded and unpacked if it is not there yet.

    Raises SourceError if the package cannot be had on this system.
    """
    target = cache / f"{source.name}-{source.version.replace(':', '_').replace('/', '_')}"
    if target.is_dir():
        return target
    archives = cache / ".archives"
    archives.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        _UNPACKERS[source.kind](_download(source, archives), unpacked)
        chosen = Path(scratch) / "chosen"
        _choose(source, unpacked, chosen)
        chosen.rename(target)
    return target


def fetch_all(
    sources: Iterable[Source], cache: Path, each: Callable[..., Iterable[Path | None]] = map
) -> dict[str, Path]:
    """Every codebase that can be had here, by name; the others are named on stderr.

    `each` is a `map` that may run in parallel.
    """
    wanted = list(sources)
    roots = each(partial(_fetch_or_say, cache=cache), wanted)
    return {source.name: root for source, root in zip(wanted, roots, strict=True) if root}


def _fetch_or_say(source: Source, cache: Path) -> Path | None:
    try:
        return fetch(source, cache)
    except SourceError as error:
        print(f"skipped {source.name}: {error}", file=sys.stderr)
        return None


def _download(source: Source, archives: Path) -> Path:
    folder = archives / f"{source.kind}-{source.package.replace('/', '_')}-{source.version}"
    if not folder.is_dir() or not any(folder.iterdir()):
        with tempfile.TemporaryDirectory(dir=archives) as scratch:
            _run(_commands(source, scratch), scratch)
            shutil.copytree(scratch, folder, dirs_exist_ok=True)
    return next(path for path in sorted(folder.iterdir()) if path.is_file())


def _commands(source: Source, folder: str) -> list[list[str]]:
    pinned = f"{source.package}=={source.version}"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
    if source.kind == "pip":
        if shutil.which("pip") and subprocess.run([*pip[:3], "-V"], capture_output=True).returncode:
            pip[:3] = ["pip"]
        # The sdist has tests, docs and a README; a package without one falls back to its wheel.
        return [[*pip, "--no-binary", source.package, pinned], [*pip, pinned]]
    if source.kind == "npm":
        return [["npm", "pack", "--silent", f"{source.package}@{source.version}"]]
    if source.kind == "deb":
        return [["apt-get", "download", f"{source.package}={source.version}"]]
    raise SourceError(f"unknown kind {source.kind!r}; use pip, npm or deb.")


def _run(alternatives: list[list[str]], folder: str) -> None:
    missing = alternatives[0][0]
    if shutil.which(missing) is None:
        raise SourceError(f"`{missing}` is not on this system.")
    for command in alternatives:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            return
    last = (done.stderr.strip() or "no message").splitlines()[-1]
    raise SourceError(f"`{' '.join(command)}` failed: {last}")


def _unpack_deb(archive: Path, folder: Path) -> None:
    subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True)


def _unpack_archive(archive: Path, folder: Path) -> None:
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
        return
    with tarfile.open(archive) as bundle:
        bundle.extractall(folder, filter="data")
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        for child in list(entries[0].iterdir()):
            child.rename(folder / f".moved-{child.name}")
        entries[0].rmdir()
        for child in list(folder.iterdir()):
            child.rename(folder / child.name.removeprefix(".moved-"))


_UNPACKERS = {"pip": _unpack_archive, "npm": _unpack_archive, "deb": _unpack_deb}


def _choose(source: Source, unpacked: Path, chosen: Path) -> None:
    root = unpacked / source.root
    if not root.is_dir():
        raise SourceError(f"no folder {source.root!r} in {source.package} {source.version}.")
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_symlink() or not path.is_file() or not _wanted(path, inside):
            continue
        if source.only and len(inside.parts) > 1 and not _below(inside, source.only):
            continue
        _copy(path, chosen / inside)
    if source.kind == "deb":
        for path in sorted((unpacked / "usr/share/doc").glob("*/*")):
            if path.is_file() and not path.name.lower().startswith(("changelog", "news")):
                _copy_text(path, chosen)
    if not chosen.is_dir():
        raise SourceError(f"nothing left of {source.package} {source.version} after filtering.")


def _below(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _wanted(path: Path, inside: Path) -> bool:
    if _SKIPPED_FOLDERS & set(inside.parts) or path.name.endswith(_SKIPPED_SUFFIXES):
        return False
    if path.stat().st_size > MAX_FILE_BYTES:
        return False
    return b"\0" not in path.read_bytes()[:4096]


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _copy_text(path: Path, chosen: Path) -> None:
    """A package's documents, unzipped, under the names a checkout would have."""
    name = path.name.removesuffix(".gz")
    name = {"copyright": "LICENSE", "readme.md": "README.md"}.get(name, name)
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < MAX_FILE_BYTES and not (chosen / name).exists():
        chosen.mkdir(parents=True, exist_ok=True)
        (chosen / name).write_bytes(data)
