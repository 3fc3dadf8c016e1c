"""`agent serve`, `agent ps` and `agent stop`."""

import argparse
import time

from agent.exits import AgentError, Exit, UsageError


def run(options: argparse.Namespace) -> int:
    """Run one of the three commands; returns the exit code."""
    from agent.render import note
    from agent.serving.running import BindError
    from agent.serving.weights import LoadError

    try:
        return {"serve": _serve, "ps": _ps, "stop": _stop}[options.command](options)
    except LoadError as error:
        note(f"agent: {error}")
        return Exit.UNAVAILABLE
    except (AgentError, BindError) as error:
        note(f"agent: {error}")
        return Exit.ERROR


def _serve(options: argparse.Namespace) -> int:
    from agent import settings
    from agent.serving.server import serve

    if not 0 <= options.port < 65536:
        raise UsageError(f"--port {options.port} is no port; choose one from 0 to 65535.")
    serve(
        options.model,
        options.adapter,
        options.host,
        options.port,
        settings.load({}).api_key,
    )
    return Exit.OK


def _ps(options: argparse.Namespace) -> int:
    from agent.serving import background

    for found in background.ps():
        minutes = (time.time() - found.started) / 60
        print(f"{found.model}\t{found.base_url}\tpid {found.pid}\tup {minutes:.0f} min")
    return Exit.OK


def _stop(options: argparse.Namespace) -> int:
    from agent.serving import background

    stopped = background.stop(options.model)
    for found in stopped:
        print(f"stopped {found.model} (pid {found.pid})")
    if options.model is not None and not stopped:
        raise AgentError(f"No background model {options.model!r} is running; see `agent ps`.")
    return Exit.OK
