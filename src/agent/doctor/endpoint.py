"""Is anybody there, who is it, and does it say so?"""

import re

from agent.doctor.finding import Finding, ok, problem, warning
from agent.doctor.models import entry, names
from agent.doctor.probe import Probe

_KEY = "Set the key in AGENT_API_KEY."
# The server that comes with mlx-lm names its own, MLX's and the system's version.
_MLX_LM = re.compile(r"\d+\.\d+\.\d+[^-]*-\d+\.\d+\.\d+[^-]*-")


def reachable(probe: Probe) -> Finding:
    """Whether something that lists models answers at the address."""
    name, place = "endpoint", probe.endpoint
    status, listing, failure = probe.get("/models")
    if failure:
        return problem(name, f"{place.base_url} {failure}.", "Start the server, or check the URL.")
    if status in (401, 403):
        return problem(name, f"{place.base_url} refuses the key ({status}).", _KEY)
    if 300 <= status < 400:
        return problem(name, f"{place.base_url} redirects.", "Give the final address.")
    listed = names(listing)
    if status != 200 or listed is None:
        return warning(
            name,
            f"{place.base_url}/models gives no list of models (status {status}).",
            "Check the URL (it mostly ends in /v1), and name the model with --model.",
        )
    if place.model not in listed:
        return warning(
            name,
            f"{place.base_url} lists {', '.join(listed[:5]) or 'no model'}, not {place.model!r}.",
            "Choose a listed model with --model: some servers load or download any other name.",
        )
    return ok(name, f"{place.base_url} answers and serves {place.model}.")


def chat(probe: Probe) -> Finding:
    """Whether a question gets an answer."""
    name = "chat"
    answer = probe.ask("Say hello.", max_tokens=16)
    if answer.status in (401, 403):
        return problem(name, f"A question is refused ({answer.failure}).", _KEY)
    if answer.failure:
        return problem(
            name,
            f"{probe.endpoint.base_url} {answer.failure}.",
            "Look at the server's log; check the URL and --model.",
        )
    if not answer.text.strip() and not answer.calls:
        return problem(
            name, "The answer is empty.", "Check the model's chat template, or use another model."
        )
    return ok(name, f"A question was answered in {answer.seconds:.1f} s.")


def weights(probe: Probe) -> Finding:
    """Whether one can tell which weights answer."""
    name = "weights"
    answer = probe.ask("Say hello.", max_tokens=1)
    listed = entry(probe).get("weights")
    known = next((w for w in (answer.weights, answer.fingerprint, listed) if _is_hash(w)), None)
    if answer.failure:
        return problem(name, f"A question {answer.failure}.", "Look at the server's log.")
    if answer.model not in ("", probe.endpoint.model):
        return warning(
            name,
            f"Asked for {probe.endpoint.model!r}, {answer.model!r} answers.",
            "Name the model that is meant with --model.",
        )
    if known is not None and _is_hash(listed) and listed != known:
        return problem(
            name,
            f"The list of models says {listed}, the answer {known}.",
            "Restart the server: it serves other weights than it says.",
        )
    if known is not None:
        return ok(name, f"{probe.endpoint.model} is {known}.")
    if _MLX_LM.match(answer.fingerprint) and probe.endpoint.model != "default_model":
        return warning(
            name,
            "The server (mlx_lm.server) does not say which weights answer, and applies its "
            "--adapter-path to the model name default_model only.",
            "With an adapter use --model default_model; `agent serve` names its weights.",
        )
    return warning(
        name,
        "The server does not say which weights answer, only a name.",
        "Note yourself which weights were measured; `agent serve` names them by hash.",
    )


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and value.startswith("sha256:")
