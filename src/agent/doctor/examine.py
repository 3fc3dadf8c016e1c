"""All checks, in the order in which they help."""

from collections.abc import Callable, Iterator, Sequence

from agent.connect import Endpoint, connect
from agent.doctor import endpoint, ends, machine, speed, tools, window
from agent.doctor.finding import Finding, problem, warning
from agent.doctor.probe import Probe
from agent.exits import AgentError, UsageError
from agent.settings import Settings

# Where one of these fails there is nobody to ask the rest.
_FIRST = (endpoint.reachable, endpoint.chat)
_REST = (
    endpoint.weights,
    window.context_window,
    ends.stop_sent,
    ends.stop_honoured,
    ends.end_of_turn,
    ends.length_limit,
    tools.calls_whole,
    tools.calls_streamed,
    tools.results,
    tools.choice_none,
    tools.choice_required,
    tools.choice_named,
    speed.prompt_cache,
    speed.speed,
)
_MACHINE = (
    machine.blas,
    machine.rg,
    machine.php,
    machine.confinement,
    machine.terminal,
    machine.folders,
)
_START = "Start the server, or check the URL, --model and AGENT_API_KEY."


def examine(settings: Settings, given: Endpoint | None = None) -> Iterator[Finding]:
    """Every finding as soon as it is there: of the endpoint, then of this machine.

    `given`: an endpoint that is connected already; without one the endpoint that the settings ask
    for is connected, and closed in the end. Raises UsageError for settings that name none.
    """
    yield from of_endpoint(settings, given)
    for check in _MACHINE:
        yield check()


def of_endpoint(settings: Settings, given: Endpoint | None = None) -> Iterator[Finding]:
    """The findings about the endpoint alone; see `examine`."""
    try:
        place = given or connect(settings)
    except UsageError:
        raise
    except AgentError as error:
        yield problem("endpoint", str(error), _START)
        yield _left_out((*_FIRST, *_REST)[1:])
        return
    probe = Probe(place, settings)
    try:
        yield from _asked(probe)
    finally:
        probe.close()
        if given is None:
            place.close()


def _asked(probe: Probe) -> Iterator[Finding]:
    checks = (*_FIRST, *_REST)
    for done, check in enumerate(checks, 1):
        finding = check(probe)
        yield finding
        if probe.gone and check not in _FIRST:
            text = f"{probe.endpoint.base_url} stopped answering during the check {finding.name!r}."
            yield problem("endpoint lost", text, "See the server's log; it may have crashed.")
        if probe.gone or (check in _FIRST and finding.status == "problem"):
            yield _left_out(checks[done:])
            return


def _left_out(checks: Sequence[Callable[[Probe], Finding]]) -> Finding:
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    return warning("not checked", f"Nobody answers, so left out: {names}.", "First repair that.")
