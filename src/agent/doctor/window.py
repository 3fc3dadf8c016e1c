"""How much the model really reads, found by a few prompts of growing size."""

from agent.context import least_tokens
from agent.doctor.finding import Finding, ok, problem, warning
from agent.doctor.models import claimed_window
from agent.doctor.probe import Probe
from agent.doctor.reply import Reply

MOST_TOKENS = 8192
"""Larger prompts are not tried: a doctor's visit is short."""
SECONDS = 15.0
"""After a prompt that took longer no larger one is tried."""

NAME = "context window"
_WORDS = ("river", "table", "green", "seven", "paper", "window", "quiet", "stone")
_SET = "Set context_window in the user's settings to the size that was read whole."


def context_window(probe: Probe) -> Finding:
    """The claimed window, and what was read whole, refused, or silently cut."""
    claimed, source = claimed_window(probe)
    first = probe.ask(filler(200), max_tokens=1)
    if first.failure:
        return problem(NAME, f"A prompt of 200 words {first.failure}.", "Look at the server's log.")
    if not first.prompt_tokens:
        return warning(
            NAME,
            "The server does not count the tokens of a prompt, so a silently cut one goes unseen.",
            "Set context_window in the user's settings; prefer a server that reports usage.",
        )
    return _Measuring(probe, claimed, source, first).finding()


def filler(words: int) -> str:
    """A text of that many common words."""
    return " ".join(_WORDS[i % len(_WORDS)] for i in range(words))


class _Measuring:
    def __init__(self, probe: Probe, claimed: int | None, source: str, first: Reply) -> None:
        self._probe = probe
        self._claimed = claimed
        self._said = f"{source} says {claimed}" if claimed else "nobody says how large it is"
        self._per_word = max(1.0, (first.prompt_tokens or 0) / 200)
        self._whole = first.prompt_tokens or 0

    def finding(self) -> Finding:
        for size in self._sizes():
            prompt = filler(int(size / self._per_word))
            answer = self._probe.ask(prompt, max_tokens=1)
            if answer.failure:
                return self._refused(size, answer)
            read, least = answer.prompt_tokens or 0, least_tokens([prompt])
            if read < least * 0.9:
                return problem(
                    NAME,
                    f"A prompt of at least {least} tokens was read as {read}: the server cuts "
                    f"silently ({self._said}).",
                    f"Raise the server's context size, or set context_window to {read}.",
                )
            if self._claimed and read > self._claimed:
                return self._beyond(read)
            self._whole = read
            if answer.seconds > SECONDS:
                break
        return self._all_read()

    def _sizes(self) -> list[int]:
        """Growing sizes, the last one just beyond the claim where that is within reach."""
        within = [1024, 4096, MOST_TOKENS]
        if self._claimed is None:
            return within
        around = [int(self._claimed * 0.9), int(self._claimed * 1.2)]
        below = [size for size in within if size < around[0]]
        return below + [size for size in around if size <= MOST_TOKENS]

    def _refused(self, size: int, answer: Reply) -> Finding:
        clear = 400 <= answer.status < 500
        measured = f"{self._whole} tokens are read whole; about {size}: it {answer.failure}"
        if not clear:
            return problem(
                NAME,
                f"{measured} ({self._said}).",
                f"Set context_window to {self._claimed or self._whole}: the server does not refuse "
                "a prompt that is too long, it fails.",
            )
        if self._claimed is None:
            return warning(NAME, f"{measured}; {self._said}.", _SET)
        if size < self._claimed:
            return problem(
                NAME,
                f"{measured}, though {self._said}.",
                "Raise the server's context size, or set context_window to what was read.",
            )
        return ok(NAME, f"{self._said}; {self._whole} are read whole, about {size} refused.")

    def _beyond(self, read: int) -> Finding:
        text = f"A prompt of {read} tokens was accepted, though {self._said}."
        window = self._probe.settings.context_window
        if window is not None and self._claimed and window <= self._claimed:
            return ok(NAME, f"{text} The setting context_window = {window} keeps below that.")
        return problem(
            NAME,
            text + " Answers to such a prompt are nonsense.",
            f"Set context_window = {self._claimed} in the user's settings, then the assistant "
            "itself stops there.",
        )

    def _all_read(self) -> Finding:
        measured = f"{self._whole} are read whole; more was not tried, to be quick"
        if self._claimed is None:
            return warning(NAME, f"{measured}; {self._said}.", _SET)
        return ok(NAME, f"{self._said}; {measured}.")
