"""find_files and the globs it shares with grep."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_tools import Workspace, find_files, globs, ripgrep

from .calls import told


@pytest.mark.parametrize(
    ("glob", "files"),
    [
        ("*.py", ["src/a.py", "src/deep/b.py"]),
        ("a.py", ["src/a.py"]),
        ("src/*.py", ["src/a.py"]),
        ("./src/*.py", ["src/a.py"]),
        ("/src/*.py", ["src/a.py"]),
        ("src/**/*.py", ["src/a.py", "src/deep/b.py"]),
        ("**/*.md", ["notes.md"]),
        ("*.{md,txt}", ["notes.md"]),
        ("{src/deep,docs}/*", ["src/deep/b.py"]),
        ("src", ["src/a.py", "src/deep/b.py"]),
        ("src/", ["src/a.py", "src/deep/b.py"]),
        ("deep", ["src/deep/b.py"]),
        ("deep/", ["src/deep/b.py"]),
        (".", ["notes.md", "src/a.py", "src/deep/b.py"]),
        ("**", ["notes.md", "src/a.py", "src/deep/b.py"]),
        ("?.py", ["src/a.py", "src/deep/b.py"]),
        ("[!b].py", ["src/a.py"]),
        ("!*.py", ["notes.md"]),
    ],
)
def test_globs(workspace: Workspace, glob: str, files: list[str]) -> None:
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    assert find_files(workspace, glob).splitlines() == [count, *files]


def test_nothing_found(workspace: Workspace) -> None:
    assert find_files(workspace, "*.rb") == "No files match."
    assert find_files(workspace, "srcs") == "No files match."


def test_the_closest_files_where_nothing_fits(workspace: Workspace, root: Path) -> None:
    (root / "src" / "tide_table.py").touch()
    assert find_files(workspace, "*tides*") == "No files match. Closest:\nsrc/tide_table.py"


def test_case_is_ignored_where_nothing_fits_as_written(workspace: Workspace, root: Path) -> None:
    (root / "UserController.php").touch()
    assert find_files(workspace, "*controller*") == "1 file\nUserController.php"
    (root / "controller.md").touch()
    assert find_files(workspace, "*controller*") == "1 file\ncontroller.md"


def test_a_folder_of_folders(workspace: Workspace, root: Path) -> None:
    (root / "internal" / "limit").mkdir(parents=True)
    (root / "internal" / "limit" / "bucket.go").touch()
    assert find_files(workspace, "internal/*") == "1 file\ninternal/limit/bucket.go"
    (root / "internal" / "doc.go").touch()
    assert find_files(workspace, "internal/*") == "1 file\ninternal/doc.go"


def test_an_absolute_glob(workspace: Workspace, root: Path) -> None:
    assert find_files(workspace, f"{root}/src/*.py") == "1 file\nsrc/a.py"
    assert find_files(workspace, str(root)).startswith("3 files\n")


def test_ignored_and_hidden_files(workspace: Workspace, root: Path) -> None:
    (root / ".gitignore").write_text("*.log\n")
    (root / "x.log").write_text("")
    (root / ".hidden.py").write_text("")
    assert find_files(workspace, "*.log") == "No files match."
    assert ".hidden.py" not in find_files(workspace, "*.py")
    assert find_files(workspace, ".hidden.py") == "1 file\n.hidden.py"


def test_many_files(workspace: Workspace, root: Path) -> None:
    for number in range(1500):
        (root / f"many-{number:04}.txt").touch()
    first, *files, last = find_files(workspace, "many-*").splitlines()
    assert first == "1500 files"
    assert files == [f"many-{number:04}.txt" for number in range(len(files))]
    assert last == f"[showing {len(files)} of 1500 files; narrow the glob]"
    assert len(files) > 500


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        (" ", "empty"),
        ("../*.py", "outside the workspace"),
        ("{a", "unclosed brace"),
        ("{a,b}" * 10, "more than 64 alternatives"),
        ("**/a/**/b/**/c/**/d/**/e", "more than 4"),
        ("[z-a]", "malformed"),
    ],
)
def test_bad_globs(workspace: Workspace, glob: str, words: str) -> None:
    answer = told(find_files, workspace, glob)
    assert answer.startswith("Error: ") and words in answer


def test_a_glob_cannot_hang(workspace: Workspace) -> None:
    matches = globs.matcher("*a" * 30 + "b")
    assert not matches("a" * 250)


@settings(max_examples=40, deadline=None)
@given(
    glob=st.lists(
        st.sampled_from(["*", "**", "a", "b", "a*", "*b", "?", "[ab]", "{a,b}", "a*b", "{a/b,b}"]),
        min_size=1,
        max_size=4,
    ).map("/".join)
)
def test_globs_mean_what_they_mean_to_ripgrep(tree: Path, glob: str) -> None:
    printed = subprocess.run(
        [ripgrep.binary(), "--no-config", "--files", f"--glob=/{glob}", "./"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    matches = globs.matcher(f"/{glob}")
    ours = sorted(f for f in ripgrep.files(Workspace(tree)) if matches(f))
    theirs = sorted(line.removeprefix("./") for line in printed.stdout.splitlines())
    assert ours == theirs


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for path in ("a", "b/a", "b/b", "ab/a/b", "ab/aab/ab", "b/ab/a/a", "b/ab/a/bb/b"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root
