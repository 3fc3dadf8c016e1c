"""One background endpoint per model, shared by every caller and gone after an idle time.

Per model there are a private state file (address, token), a lock held while one is looked for or
started, and a lock that the server holds as long as it lives: whoever can take that one knows
that the state file is stale, whatever became of the process id.
"""

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.serving import weights
from agent.serving.weights import LoadError

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Background:
    """A background endpoint as its private state file tells it.

    `weights`: their hash; `started`: seconds since the epoch; `keep_alive`: idle seconds allowed.
    """

    base_url: str
    token: str
    model: str
    weights: str
    ref: str
    pid: int
    started: float
    keep_alive: float


def find_or_start(ref: str, adapter: str | None = None, keep_alive: float = 300.0) -> Background:
    """The running endpoint for this model, or a new one that exits after `keep_alive` idle seconds.

    Blocks until it answers. Two callers at once get the same one. Raises LoadError with the
    reason when the model cannot be loaded.
    """
    weights.check(ref, adapter)
    ref, adapter = _absolute(ref), _absolute(adapter) if adapter else None
    place = Place(weights.signature(ref, adapter))
    with place.looking():
        found = place.living()
        if found is not None and not _accepts(found):
            _end(place, found)
            found = None
        return found or _start(place, ref, adapter, keep_alive)


def ps() -> list[Background]:
    """Every background endpoint that is alive; forgotten state files are removed on the way."""
    found = (Place(path.stem).living() for path in sorted(_folder().glob("*.json")))
    return [endpoint for endpoint in found if endpoint is not None]


def stop(model: str | None = None) -> list[Background]:
    """Stop the background endpoints of `model` (id or reference), or all; returns those stopped."""
    stopped = []
    for path in sorted(_folder().glob("*.json")):
        place = Place(path.stem)
        found = place.living()
        if found is None:
            continue
        if model is None or model == found.model or _absolute(model) == found.ref:
            _end(place, found)
            stopped.append(found)
    return stopped


class Place:
    """The files of one model's endpoint."""

    def __init__(self, key: str) -> None:
        folder = _folder()
        self.key = key
        self.state = folder / f"{key}.json"
        self.log = folder / f"{key}.log"
        self._looking = folder / f"{key}.lock"
        self._alive = folder / f"{key}.alive"

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Held while somebody finds or starts the endpoint, or it decides to go."""
        with _lock(self._looking, fcntl.LOCK_EX):
            yield

    def hold(self) -> None:
        """Be the server until this process ends; waits for the end of one before it."""
        fcntl.flock(os.open(self._alive, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)

    def living(self) -> Background | None:
        """What the state file says, if its server lives; a stale file is removed."""
        try:
            with _lock(self._alive, fcntl.LOCK_SH | fcntl.LOCK_NB):
                self.state.unlink(missing_ok=True)
                return None
        except BlockingIOError:
            return self._read()

    def is_alive(self) -> bool:
        """Whether a server is there, published or not."""
        try:
            with _lock(self._alive, fcntl.LOCK_SH | fcntl.LOCK_NB):
                return False
        except BlockingIOError:
            return True

    def _read(self) -> Background | None:
        try:
            return Background(**json.loads(self.state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # not there yet, or written by another version

    def write(self, endpoint: Background) -> None:
        """Publish the endpoint: whole or not at all, and for this user alone."""
        fresh = self.state.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(endpoint), file)
        fresh.replace(self.state)


def _folder() -> Path:
    """Our private folder. Raises PermissionError when it is somebody else's."""
    from platformdirs import user_state_path

    folder = user_state_path("agent") / "endpoints"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    folder.chmod(0o700)
    return folder


@contextlib.contextmanager
def _lock(path: Path, mode: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)


def _absolute(ref: str) -> str:
    path = Path(ref).expanduser()
    return str(path.resolve()) if ref != weights.EMBEDDED and path.exists() else ref


def _start(place: Place, ref: str, adapter: str | None, keep_alive: float) -> Background:
    """Start the server and wait until it published itself. The caller is `looking`."""
    order = {"key": place.key, "ref": ref, "adapter": adapter, "keep_alive": keep_alive}
    with place.log.open("w") as log:
        place.log.chmod(0o600)
        server = subprocess.Popen(
            # -P and the folder: nothing is imported from where the user happens to stand
            [sys.executable, "-P", "-m", "agent.serving.background"],
            cwd=place.log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        said = _converse(server, json.dumps(order))
    except BaseException:
        server.kill()
        raise
    if said != "ready":
        raise LoadError(said or f"the background endpoint did not start; see {place.log}")
    found = place.living()
    if found is None:
        raise LoadError(f"the background endpoint ended at once; see {place.log}")
    return found


def _converse(server: "subprocess.Popen[bytes]", order: str) -> str:
    """Hand over the order; returns the server's one line."""
    assert server.stdin is not None and server.stdout is not None
    with server.stdin, contextlib.suppress(BrokenPipeError):
        server.stdin.write(order.encode())
        server.stdin.flush()
    with server.stdout:
        return server.stdout.readline().decode().strip()


def _accepts(endpoint: Background) -> bool:
    """Whether it takes requests, which also begins its idle time anew.

    A busy server may be slow to answer; it is alive all the same. One that ends refuses.
    """
    address = urlsplit(endpoint.base_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    try:
        token = {"Authorization": f"Bearer {endpoint.token}"}
        connection.request("GET", "/v1/models", headers=token)
        return connection.getresponse().status == 200
    except TimeoutError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(place: Place, endpoint: Background) -> None:
    """Ask the server to end, make it end if it does not, and clean up."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.kill(endpoint.pid, signal.SIGTERM)
        while place.is_alive():
            if time.monotonic() > deadline:
                os.kill(endpoint.pid, signal.SIGKILL)
            time.sleep(0.02)


def main() -> None:
    """The background process: its order comes on stdin, "ready" or the reason goes to stdout."""
    from agent.serving.idle import run_until_idle
    from agent.serving.running import base_url, bind, start_engine

    order: dict[str, Any] = json.load(sys.stdin)
    place = Place(order["key"])
    place.hold()
    listener = bind("127.0.0.1", 0)
    try:
        engine = start_engine(order["ref"], order["adapter"])
        served = engine.wait_ready()
    except LoadError as error:
        print(error, flush=True)
        sys.exit(1)
    endpoint = Background(
        base_url=base_url(listener),
        token=secrets.token_urlsafe(32),
        model=served.identity.id,
        weights=served.identity.weights,
        ref=order["ref"],
        pid=os.getpid(),
        started=time.time(),
        keep_alive=order["keep_alive"],
    )
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        place.write(endpoint)
        print("ready", flush=True)
        _leave_stdout()
        run_until_idle(engine, listener, endpoint.token, order["keep_alive"], place)
    finally:
        place.state.unlink(missing_ok=True)
        engine.close()


def _leave_stdout() -> None:
    """Whoever started us stops listening: writing there would fail from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    main()
