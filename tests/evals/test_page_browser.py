"""The page about a run in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evals.test_page import HIDDEN, folder, hostile, report, rows

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


class Opened:
    """A page in a tab; `problems` are what the console says and the requests that leave it."""

    def __init__(self, browser: Any, file: Path, scheme: str = "light", width: int = 1280) -> None:
        self.problems: list[str] = []
        size = {"width": width, "height": 900}
        self.tab = browser.new_page(color_scheme=scheme, viewport=size)
        self.tab.on("console", lambda message: self.problems.append(message.text))
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("request", self._request)
        self.tab.goto(file.as_uri())

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.problems.append(request.url)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def count(self) -> str:
        return str(self.tab.inner_text("#count"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = folder(tmp_path_factory.mktemp("run"), rows(150) + rows(6, configuration="big"))
    report(run)
    return run / "report.html"


def test_the_list_works_by_keyboard(browser: Any, page: Path) -> None:
    opened = Opened(browser, page)
    assert opened.count() == "156 runs, the first 100 shown"
    opened.press("Tab", "Enter", "Tab")  # the link that skips to the cases
    opened.tab.keyboard.type("pressure")
    assert opened.count() == "26 of 156 runs"
    opened.press("Tab", "t")  # the label: "tool"
    assert opened.count() == "0 of 156 runs"
    opened.press("ArrowUp", "Shift+Tab", "Control+a", "Delete")  # "direct", and no text
    assert opened.count() == "78 of 156 runs"
    opened.press(
        "Tab", "Tab", "Tab", "l", "Tab", "Tab", "Tab"
    )  # outcome "looped", to the first case
    assert opened.count() == "26 of 156 runs"
    opened.press("Enter")
    transcript = opened.tab.inner_text("#list li:first-child .transcript")
    assert "call 3: grep" in transcript and '"pattern": "a"' in transcript
    assert not opened.problems
    opened.tab.close()


def test_a_number_of_the_matrix_leads_to_its_cases(browser: Any, page: Path) -> None:
    opened = Opened(browser, page)
    opened.tab.click("[data-label=tool][data-outcome=malformed][data-configuration=big]")
    assert opened.count() == "1 of 156 runs"
    assert "malformed · tool · define · big" in opened.tab.inner_text("#list")
    opened.tab.click("button[type=reset]")
    opened.tab.click("#more")
    assert opened.tab.locator("#list > li").count() == 156
    assert not opened.problems
    opened.tab.close()


# Text whose contrast to what lies behind it is too low; colours are mixed as the browser does.
_FAINT = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const mixed = (...layers) => {
    for (const layer of layers) { pen.fillStyle = layer; pen.fillRect(0, 0, 1, 1); }
    return pen.getImageData(0, 0, 1, 1).data;
  };
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const c = rgb[i] / 255;
    return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const faint = [];
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words || !element.checkVisibility() || element.closest("script, noscript")) continue;
    const behind = [];
    for (let e = element; e; e = e.parentElement) {
      behind.unshift(getComputedStyle(e).backgroundColor);
    }
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(mixed("white", ...behind)), light(mixed("white", ...behind, colour))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${ratio}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_both_themes(browser: Any, page: Path, scheme: str, width: int) -> None:
    opened = Opened(browser, page, scheme, width)
    opened.tab.click("#list li:nth-child(4) summary")
    opened.tab.click(".figures summary >> nth=0")
    assert opened.tab.evaluate(_FAINT) == []
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == width
    assert not opened.problems
    opened.tab.close()


def test_the_theme_can_be_chosen(browser: Any, page: Path) -> None:
    opened = Opened(browser, page, "dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = opened.tab.evaluate(paper)
    opened.press("Tab", "Tab", "ArrowRight")
    assert opened.tab.evaluate(paper) != dark
    opened.press("ArrowRight")
    assert opened.tab.evaluate(paper) == dark
    opened.tab.emulate_media(media="print")
    assert opened.tab.evaluate(paper) != dark
    assert not opened.tab.is_visible("nav") and not opened.tab.is_visible("form")
    opened.tab.close()


def test_hostile_texts_are_shown_and_not_obeyed(browser: Any, tmp_path: Path) -> None:
    report(hostile(tmp_path))
    opened = Opened(browser, tmp_path / "report.html")
    for summary in opened.tab.locator("#list summary").all():
        summary.click()
    shown = opened.tab.inner_text("#list")
    assert "</script><script>hacked=1</script><img" in shown and not HIDDEN.search(shown)
    assert opened.tab.evaluate("typeof hacked") == "undefined"
    assert opened.tab.locator("img").count() == 0
    assert not opened.problems
    opened.tab.close()
