"""What Linux lets a program that we start do: read some places, and nothing else.

Landlock confines the thread that asks for it and whatever this thread starts. So a program is
started from a thread of its own, which is confined and ends. `preexec_fn` would run Python between
fork and exec, which can deadlock in a process with threads, and a wrapper program would cost its
own start. A tool's checks do not rest on this: it is there for what they overlooked.
"""

import ctypes
import functools
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH, _NO_NEW_PRIVS = 1, 1, 38

_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
# All that a version of Landlock can forbid: on files (later ones know renaming across directories,
# truncating, device controls), to bind and connect over TCP, sockets without a path and signals.
_ALL_ON_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_ALL_TCP = _ALL_SCOPES = 0b11
KNOWS_TCP, _KNOWS_SCOPES = 4, 6

# Where the loader finds libraries; PHP's may read data besides. What is not there is passed over.
_LIBRARIES = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
    "/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew",
)  # fmt: skip
_DATA = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/usr/share", "/dev/null")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


@functools.cache
def version() -> int:
    """The version of Landlock that this kernel offers; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    try:
        return _called(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def confined(start: Callable[[], T], programs: Iterable[str], reads: Iterable[str]) -> T:
    """What `start` returns; what it starts may run `programs`, read `reads` and do nothing else.

    Without Landlock `start` is merely called.

    Raises:
        OSError: the kernel has Landlock and refuses it, or whatever else `start` raises.
    """
    if not version():
        return start()
    ruleset = _ruleset(programs, reads)
    outcome: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            _restrict(ruleset)
            outcome.append(start())
        except BaseException as error:
            problems.append(error)

    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        os.close(ruleset)
    if problems:
        raise problems[0]
    return outcome[0]


def _ruleset(programs: Iterable[str], reads: Iterable[str]) -> int:
    abi = version()
    wanted = _Ruleset(
        files=max(rights for since, rights in _ALL_ON_FILES.items() if since <= abi),
        net=_ALL_TCP if abi >= KNOWS_TCP else 0,
        scopes=_ALL_SCOPES if abi >= _KNOWS_SCOPES else 0,
    )
    # An older kernel takes the fields that it does not know as long as they are zero.
    ruleset = _called(_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    try:
        for program in map(os.path.realpath, programs):
            _allow(ruleset, program, _EXECUTE | _READ_FILE)
            # Those of a program that somebody put into a folder of its own.
            _allow(ruleset, str(Path(program).parent.parent / "lib"), _READ_FILE | _READ_DIR)
        for path in _LIBRARIES:
            _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
        for path in (*_DATA, *reads):
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow rights on a file or below a directory; none on what cannot be opened."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= ~_READ_DIR
        rule = _PathBeneath(rights, descriptor)
        _called(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _restrict(ruleset: int) -> None:
    """Confine the calling thread for the rest of its life."""
    libc = _libc()
    # Without it a program with more rights than ours could be confused by being confined.
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "a program cannot be kept from gaining rights")
    _called(_RESTRICT_SELF, ruleset, 0)


def _called(number: int, *arguments: object) -> int:
    whole = [ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)]
    result: int = _libc().syscall(*whole)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc
