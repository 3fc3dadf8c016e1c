"""The oracle on a small codebase: real tools, canonical calls, answers made from the results."""

import json
from pathlib import Path

import pytest

from agent_training.intents import INTENTS
from agent_training.mine import Codebase, mine
from agent_training.oracle import Executor, Run

FILES = {
    "README.md": "# Shop\n\nShop is a small demonstration of a web shop in two languages.\n\n"
    "Run `pip install shop` to install it.\n",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1.4.2"\nrequires-python = ">=3.11"\n'
    'dependencies = [\n    "redis",\n    "rich",\n]\n',
    "shop/cart.py": '"""The cart of a customer."""\n\nimport redis\n\nMAX_ITEMS = 40\n\n\n'
    'class BaseCart:\n    """Holds what somebody wants to buy."""\n\n'
    "    def add_item(self, item, count=1):\n"
    '        if count > MAX_ITEMS:\n            raise ValueError("too many items in the cart")\n'
    "        return self.items.append(item)\n\n\nclass GiftCart(BaseCart):\n    pass\n",
    "web/Controller.php": "<?php\n\nclass Controller extends BaseController\n{\n"
    "    public function index($request)\n    {\n        return $this->view;\n    }\n}\n",
    "package.json": '{\n  "name": "shop",\n  "scripts": {\n    "build": "vite build",\n'
    '    "test": "jest"\n  }\n}\n',
    "Makefile": "SRC := shop\n\ntest:\n\tpytest\n\nrelease: test\n\ttwine upload\n",
    "CHANGELOG.md": "# Changes\n\n## 1.4.2 - 2024-05-01\n\n- Gift carts can be empty.\n",
    "config.yaml": "cart:\n  hold_minutes: 20\n  currency: EUR\n",
    "config/shop.php": "<?php\n\nreturn [\n    'max_items' => 9,\n];\n",
    "shop/CartController.py": "class CartController:\n    pass\n",
    "web/broken.php": "<?php\n\nfunction broken( {\n",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Codebase:
    root = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return mine("shop", root)


def ask(shop: Codebase, intent: str, **slots: str) -> Run:
    run = Run(shop, slots, Executor(shop, {}), question=f"what about {slots.get('topic')}?")
    run.answer = INTENTS[intent](run)
    return run


@pytest.mark.parametrize(
    ("intent", "slots", "answer"),
    [
        ("define", {"class": "GiftCart"}, "`GiftCart` is defined in `shop/cart.py` at line 17."),
        ("value_of", {"constant": "MAX_ITEMS"}, "`MAX_ITEMS` is `40` (`shop/cart.py:5`)."),
        ("bases_of", {"class": "Controller"},
         "`Controller` extends `BaseController` (`web/Controller.php:3`)."),
        ("count_classes", {}, "4 classes in 3 files."),
        ("count_lines", {"file": "pyproject.toml"}, "`pyproject.toml` has 8 lines."),
        ("text", {"string": "too many items in the cart"},
         "The text occurs: 1 match in 1 file: `shop/cart.py:13`."),
        ("find_ext", {"language": "PHP"},
         "3 files: `config/shop.php`, `web/Controller.php`, `web/broken.php`."),
        ("version", {}, '`version = "1.4.2"` (`pyproject.toml:3`).'),
        ("dependencies", {}, "The dependencies start at `pyproject.toml:5`: `redis`, `rich`."),
        ("npm_scripts", {}, "`build`, `test` (`package.json`)."),
        ("composer_scripts", {}, "composer.json does not exist. List files with find_files."),
        ("make_targets", {}, "`test`, `release` (`Makefile`)."),
        ("tasks", {}, "`test`, `release` (`Makefile`)."),
        ("changelog", {},
         "`## 1.4.2 - 2024-05-01`: `- Gift carts can be empty.` (`CHANGELOG.md`)."),
        ("database", {}, "`redis`: 2 matches in 2 files: `pyproject.toml:6`, `shop/cart.py:3`."),
        ("routes", {}, "I found no route here."),
        ("exists_feature", {"word": "gift"},
         "Yes: `gift` occurs: 2 matches in 2 files: `CHANGELOG.md:5`, `shop/cart.py:17`."),
        ("exists_feature", {"word": "kafka"}, "No: `kafka` does not occur in this codebase."),
        ("explain_method", {"class": "BaseCart", "function": "add_item"},
         "`add_item` is defined in `shop/cart.py` at line 11: "
         "`def add_item(self, item, count=1):`. It returns `self.items.append(item)`."),
        ("read_line", {"file": "cart.py", "line": "5"},
         "Line 5 of `shop/cart.py`: `MAX_ITEMS = 40`"),
        ("edit_delete", {"file": "cart.py", "old": "MAX_ITEMS = 40"},
         "Edited shop/cart.py at line 5."),
        ("write_empty", {"newfile": "notes.md"}, "Created notes.md (0 lines)."),
        ("readme", {}, "`README.md` (lines 1-5 of 5). Shop. "
         "Shop is a small demonstration of a web shop in two languages."),
        ("ask_file", {"docfile": "config.yaml", "topic": "currency"},
         "`config.yaml` says: `currency: EUR`."),
        ("ask_key", {"key": "hold_minutes"}, "`hold_minutes` is `20` (`config.yaml:2`)."),
        ("ask_key", {"key": "ttl", "file": "config.yaml"},
         "`ttl` does not occur in `config.yaml`."),
        ("edit_key", {"key": "hold_minutes", "value": "30", "file": "config.yaml"},
         "Edited config.yaml at line 2."),
        ("edit_key", {"key": "max_items", "value": "12"}, "Edited config/shop.php at line 4."),
        ("rename_in", {"class": "GiftCart", "newname": "Present", "file": "shop/cart.py"},
         "Edited shop/cart.py at line 17."),
        ("insert_after", {"file": "shop/cart.py", "old": "import redis", "content": "import rich"},
         "Edited shop/cart.py at line 3."),
        ("write_lines", {"newfile": "notes.md", "content": "one", "content2": "two"},
         "Created notes.md (2 lines)."),
        ("list_kind", {"kind": "controllers"},
         "2 controllers in 2 files: `CartController` (`shop/CartController.py:1`), "
         "`Controller` (`web/Controller.php:3`)."),
        ("count_kind", {"kind": "jobs"}, "I found no file for jobs."),
        ("find_about", {"word": "controller"},
         "2 files: `shop/CartController.py`, `web/Controller.php`."),
        ("list_ext_dir", {"dir": "shop", "language": "Python"},
         "2 files: `shop/CartController.py`, `shop/cart.py`."),
        ("feature", {"word": "gift cart"},
         "`- Gift carts can be empty.` (`CHANGELOG.md:5`). In all 7 matches in 4 files; the first: "
         "`CHANGELOG.md:5`, `shop/cart.py:17`, `shop/cart.py:1`."),
        ("edit_constant", {"constant": "MAX_ITEMS", "value": "50", "file": "shop/cart.py"},
         "Edited shop/cart.py at line 5."),
    ],
)  # fmt: skip
def test_answers(shop: Codebase, intent: str, slots: dict[str, str], answer: str) -> None:
    assert ask(shop, intent, **slots).answer == answer


def test_a_setting_is_changed_in_its_own_notation(shop: Codebase) -> None:
    run = ask(shop, "edit_key", key="max_items", value="12")
    _, arguments, _ = run.calls[1]
    assert arguments["old"] == "'max_items' => 9,"
    assert arguments["new"] == "'max_items' => 12,"


def test_settings_and_phrases_are_mined(shop: Codebase) -> None:
    assert {(s.key, s.value) for s in shop.settings} >= {
        ("hold_minutes", "20"), ("currency", "EUR"), ("max_items", "9"), ("version", "1.4.2"),
    }  # fmt: skip
    assert {"gift cart", "hold minutes"} <= set(shop.phrases)


def test_explaining_reads_where_the_definition_is(shop: Codebase) -> None:
    run = ask(shop, "explain_symbol", **{"class": "BaseCart"})
    assert [(tool, arguments.get("start")) for tool, arguments, _ in run.calls] == [
        ("grep", None),
        ("read_file", 8),
    ]
    assert run.answer.endswith("Holds what somebody wants to buy.")


def test_a_missing_name_is_said_to_be_missing_and_what_is_close_is_named(shop: Codebase) -> None:
    run = ask(shop, "define", **{"class": "WishList"})
    assert [result for _, _, result in run.calls] == ["No matches."]
    assert run.answer == "`WishList` does not occur in this codebase."
    run = ask(shop, "define", **{"class": "BaseCarts"})
    assert len(run.calls) == 1 and "Closest:\nshop/cart.py:" in run.calls[0][2]
    assert run.answer.startswith(
        "`BaseCarts` does not occur in this codebase. Closest: `shop/cart.py:"
    )


def test_one_file_of_that_name_is_opened_and_of_several_it_asks_which(shop: Codebase) -> None:
    one = ask(shop, "which_file", word="broken")
    assert [tool for tool, _, _ in one.calls] == ["find_files", "read_file"]
    assert one.answer.startswith("`web/broken.php` (lines 1-3 of 3)")
    several = ask(shop, "which_file", word="Controller")
    assert [tool for tool, _, _ in several.calls] == ["find_files"]
    assert "`shop/CartController.py`" in several.answer
    assert several.answer.endswith("Which one do you mean?")
    assert "no file with `zebra`" in ask(shop, "which_file", word="zebra").answer


def test_php_is_really_checked(shop: Codebase) -> None:
    assert "3 PHP files checked, 1 with errors" in ask(shop, "lint_all").answer


def test_writing_leaves_the_codebase_alone(shop: Codebase) -> None:
    ask(shop, "edit_delete", file="shop/cart.py", old="MAX_ITEMS = 40")
    assert (shop.root / "shop/cart.py").read_text() == FILES["shop/cart.py"]


def test_arguments_are_json_as_the_model_writes_them(shop: Codebase) -> None:
    message = ask(shop, "feature", word="cart").messages("where is the cart?")[1]
    arguments = message["tool_calls"][0]["function"]["arguments"]
    assert arguments == json.dumps({"pattern": "(?i)cart"})


def test_mining_finds_what_can_be_asked_about(shop: Codebase, tmp_path: Path) -> None:
    assert {symbol.name for symbol in shop.of_kind("class")} == {
        "BaseCart", "GiftCart", "Controller", "CartController",
    }  # fmt: skip
    assert shop.modules == ["redis"]
    assert shop.manifest_packages == ["redis", "rich"]
