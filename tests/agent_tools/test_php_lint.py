"""php_lint: PHP's verdict where PHP is, else tree-sitter's, and never a script that runs."""

import os
import shutil
from pathlib import Path

import pytest

from agent_tools import Workspace, php_lint

from .calls import told

GOOD = '<?php\n\nfunction greet(string $name): string\n{\n    return "Hi $name";\n}\n'
BAD = "<?php\nif ($x) {\n    echo 1;\n}\n}\n"
needs_php = pytest.mark.skipif(shutil.which("php") is None, reason="PHP is not installed")


@pytest.fixture
def without_php(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@needs_php
def test_with_php(workspace: Workspace, root: Path) -> None:
    (root / "good.php").write_text(GOOD)
    (root / "bad.php").write_text(BAD)
    checked = php_lint(workspace, "good.php").removeprefix("good.php: no syntax errors ")
    assert checked.startswith("(php -l, PHP ") and checked.endswith(")")
    assert php_lint(workspace, "bad.php") == f"bad.php:5: Unmatched '}}' {checked}"
    assert php_lint(workspace, ".").splitlines() == [
        f"2 PHP files checked, 1 with errors {checked}",
        "bad.php:5: Unmatched '}'",
    ]
    (root / "src" / "x.php").write_text("<?php\n$a = [1, 2;\n")
    assert php_lint(workspace, "src/x.php").startswith("src/x.php:2: syntax error, unexpected")


@pytest.mark.usefixtures("without_php")
def test_without_php(workspace: Workspace, root: Path) -> None:
    (root / "good.php").write_text(GOOD)
    (root / "bad.php").write_text(BAD)
    (root / "open.php").write_text("<?php\nfunction f() {\n    return 1\n}\n")
    assert php_lint(workspace, "good.php") == "good.php: no syntax errors (tree-sitter-php)"
    assert php_lint(workspace, "bad.php") == "bad.php:5: syntax error (tree-sitter-php)"
    assert php_lint(workspace, "open.php").startswith("open.php:3: syntax error, missing ;")
    assert php_lint(workspace, ".").startswith("3 PHP files checked, 2 with errors (tree-sitter")


@needs_php
def test_nothing_is_executed(workspace: Workspace, root: Path) -> None:
    trace = root / "executed"
    code = f"<?php file_put_contents('{trace}', 'x'); __halt_compiler(); ?>"
    (root / "-r system('x');.php").write_text(code)
    (root / "php.ini").write_text(f"auto_prepend_file={root}/evil.php\n")
    (root / "evil.php").write_text(code)
    for path in ("-r system('x');.php", "evil.php", "."):
        assert not told(php_lint, workspace, path).startswith("Error")
    assert not trace.exists()


@needs_php
def test_the_environment_is_clean(
    workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "ini").mkdir()
    (root / "ini" / "x.ini").write_text("memory_limit=1\n")
    monkeypatch.setenv("PHP_INI_SCAN_DIR", str(root / "ini"))
    (root / "good.php").write_text(GOOD)
    assert "no syntax errors" in php_lint(workspace, "good.php")


def test_what_cannot_be_checked(workspace: Workspace, root: Path) -> None:
    os.mkfifo(root / "pipe.php")
    (root / "huge.php").touch()
    os.truncate(root / "huge.php", 1 << 30)
    assert told(php_lint, workspace, "pipe.php") == "Error: pipe.php is a named pipe, not a file."
    assert "too large to check" in told(php_lint, workspace, "huge.php")
    assert told(php_lint, workspace, "x.php").startswith("Error: x.php does not exist.")
    assert php_lint(workspace, "src") == "No PHP files in src."


def test_a_directory_with_a_file_that_cannot_be_checked(workspace: Workspace, root: Path) -> None:
    (root / "good.php").write_text(GOOD)
    (root / "huge.php").touch()
    os.truncate(root / "huge.php", 1 << 30)
    first, second = php_lint(workspace, ".").splitlines()
    assert first.startswith("2 PHP files checked, 1 with errors")
    assert second.startswith("huge.php: not checked: ")


def test_time_memory_and_writing_are_limited(
    workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for PHP says what it was given: limits, and nothing of our environment."""
    stand_in = root.parent / "bin" / "php"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "$(ulimit -t) $(ulimit -f) ${TOKEN-none} $*"; ulimit -v\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent))
    monkeypatch.setenv("TOKEN", "a secret of the user")
    (root / "-r phpinfo;.php").write_text(GOOD)
    answer = told(php_lint, workspace, "-r phpinfo;.php")
    assert "no verdict: 10 0 none -n -l -d display_errors=1 -d log_errors=0" in answer
    assert answer.endswith("2000000.")
