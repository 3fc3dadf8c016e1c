"""What is a loop and what is not."""

import pytest

from agent.loops import Call, call_key, find, predicted, repeated

A, B, C = Call("a", "1"), Call("b", "2"), Call("c", "3")
EDIT, EDIT2 = Call("edit1", "e", wrote=True), Call("edit2", "f", wrote=True)
LINT = Call("lint", "bad")


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        ([], None),
        ([A], None),
        ([A, A], None),
        ([A, A, A], "identical"),
        ([A, B, A], None),
        ([A, B, A, B], "cycle"),
        ([A, B, C, A, B], None),
        ([A, B, C, A, B, C], "cycle"),
        ([A, B, A, C, A, Call("d", "4"), A], "identical"),
        ([A, A, EDIT, A], None),
        ([LINT, EDIT, LINT, EDIT2, LINT], None),
        ([EDIT, EDIT, EDIT], "identical"),
        ([EDIT, EDIT2, EDIT, EDIT2, EDIT, EDIT2], "cycle"),
        ([Call("a", "1"), Call("a", "2"), Call("a", "3")], None),
        ([Call(k, "same", failed=True) for k in "xyz"], "errors"),
        ([Call(k, k, failed=True) for k in "xyz"], None),
    ],
)
def test_find(calls: list[Call], kind: str | None) -> None:
    assert find(calls) == kind


def test_a_cycle_of_five() -> None:
    five = [Call(k, k) for k in "abcde"]
    assert find(five * 2) == "cycle"
    six = [Call(k, k) for k in "abcdef"]
    assert find(six * 2) is None


def test_keys_are_canonical() -> None:
    plain = call_key("grep", {"pattern": "x"})
    assert plain == call_key("grep", {"path": "./", "pattern": "x", "glob": ""})
    assert call_key("grep", {"pattern": "x", "path": "/r/src/"}, "/r") == call_key(
        "grep", {"pattern": "x", "path": "src/../src"}, "/r"
    )
    assert plain != call_key("grep", {"pattern": "X"})
    assert call_key("read_file", {"path": "a"}) == call_key(
        "read_file", {"path": "a", "start": 1, "end": 0}
    )


def test_repeated_and_predicted() -> None:
    assert repeated([A, B], "a")
    assert not repeated([A, EDIT], "a")
    assert predicted([A, B], "a") == A
    assert predicted([B], "a").result == ""
