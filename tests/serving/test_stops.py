import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.serving.stops import Scanner

ALPHABET = st.text(alphabet="ab<", max_size=30)


def scan(patterns: list[str], pieces: list[str]) -> tuple[str, str | None]:
    """What a reader sees of the pieces, and the pattern that ended it."""
    scanner = Scanner(patterns)
    shown = ""
    for piece in pieces:
        before, found, _ = scanner.feed(piece)
        shown += before
        if found is not None:
            return shown, found
    return shown + scanner.flush(), None


def test_a_stop_is_found_across_pieces_and_trimmed() -> None:
    assert scan(["STOP"], ["one S", "T", "OP two"]) == ("one ", "STOP")


def test_what_only_began_like_a_stop_is_shown() -> None:
    assert scan(["STOP"], ["one ST", "one"]) == ("one STone", None)


def test_what_may_become_a_stop_is_held_back() -> None:
    scanner = Scanner(["STOP", "\n\n"])
    assert scanner.feed("one ST")[0] == "one "
    assert scanner.feed("RAY\n")[0] == "STRAY"
    assert scanner.feed("\nx") == ("", "\n\n", "x")


def test_the_first_of_several_wins() -> None:
    assert scan(["b", "ab"], ["xab"]) == ("x", "ab")


@given(text=ALPHABET, cuts=st.lists(st.integers(0, 30)), patterns=st.lists(ALPHABET, max_size=3))
def test_without_a_match_the_text_is_unchanged(
    text: str, cuts: list[int], patterns: list[str]
) -> None:
    shown, found = scan(patterns, _cut(text, cuts))
    first = min((text.find(p) for p in patterns if p and p in text), default=None)
    if first is None:
        assert (shown, found) == (text, None)
    else:
        assert found is not None
        assert text.startswith(shown + found)


def _cut(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(min(c, len(text)) for c in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]
