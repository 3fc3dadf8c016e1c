"""The figures of a run, as every report shows them; `agent_evals.score` makes them."""

from collections import Counter
from dataclasses import dataclass

from agent_evals.judge import Decision
from agent_evals.stats import Balanced, Share


@dataclass(frozen=True)
class Subtype:
    """The figures of one subtype; a share of nothing where its cases do not ask."""

    name: str
    label: str
    decided: Share
    right_call: Share
    right_answer: Share


@dataclass(frozen=True)
class Arguments:
    """What became of the calls: all that were asked for, and those fit to be executed.

    `known` names a tool that exists, `valid` was also offered and fits the tool's schema.
    """

    calls: int
    known: int
    valid: int


@dataclass(frozen=True)
class Loops:
    """By the definitions of `agent.loops`; the shares are of runs, `per_run` is a mean.

    `repeating` runs made a call whose result stood already. `looped` runs had to be stopped by the
    guard or the turn limit. `excess_per_run`: calls beyond those the case takes. `lengths` counts
    runs by (calls until the first loop, or all of them; whether it was a loop): what a survival
    curve is made of.
    """

    repeating: Share
    looped: Share
    repeated_calls: int
    excess_per_run: float
    interventions: Counter[str]
    lengths: Counter[tuple[int, bool]]


@dataclass(frozen=True)
class Cost:
    """Per run, as medians of seconds and means of tokens; NaN where nothing was reported.

    `quartiles` are those of the seconds. `overhead` is the share of the runs' seconds that was not
    spent waiting for the endpoint.
    """

    seconds: float
    quartiles: tuple[float, float]
    first_token_seconds: float
    input_tokens: float
    output_tokens: float
    overhead: float


@dataclass(frozen=True)
class Scores:
    """Everything that reports show of one configuration.

    `matrix` counts runs by (label, decision). `mcc` is Matthews' correlation coefficient
    (Biochimica et Biophysica Acta 405, 1975) of needed and made calls. `abstain`: of the cases
    where something is missing, those where this was said; they are in no other decision figure.
    `gold_calls`: of the tool cases, those where one of the calls is the suite's own, up to defaults
    and the spelling of paths; `right_call` has the same result, whatever the arguments.
    """

    configuration: str
    cases: int
    runs: int
    codebases: int
    families: int
    weights: tuple[str, ...]
    balanced: Balanced
    abstain: Share
    mcc: float
    pairs: Share
    right_call: Share
    gold_calls: Share
    answers: dict[str, Share]
    matrix: Counter[tuple[str, Decision]]
    subtypes: tuple[Subtype, ...]
    arguments: Arguments
    malformed_calls: int
    loops: Loops
    cost: Cost
    endings: Counter[str]

    @property
    def epochs(self) -> float:
        """Runs per case."""
        return self.runs / max(1, self.cases)
