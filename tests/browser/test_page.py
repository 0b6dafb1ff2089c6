"""The page in headless Chromium, offline, as its readers open it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bench.reporting

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("needs chromium on the PATH (apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, sample: list[dict[str, Any]], cache: Path) -> str:
    return bench.reporting.write(sample, tmp_path_factory.mktemp("page"), command="bench run", cache=cache)[
        "html"
    ].as_uri()


@pytest.fixture
def opened(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in a context with the settings of the test's parameter; no error and no request may have happened."""
    context = browser.new_context(offline=True, **getattr(request, "param", {}))
    page, wrong = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: r.url.startswith((address, "data:")) or wrong.append(r.url))
    page.goto(address, wait_until="load")
    yield page
    context.close()
    assert wrong == []


def names(page: Any) -> list[str]:
    rows = page.locator("table.board").first.locator("tbody tr:visible")
    return [row.get_attribute("data-defense") for row in rows.all()]


def test_columns_sort_both_ways_and_empty_values_stay_last(opened: Any) -> None:
    board = opened.locator("table.board").first
    before = names(opened)
    assert before[0] == "adversarial-training"
    head = board.get_by_role("button", name="adaptive")
    head.click()
    assert board.locator("th[aria-sort=descending]").inner_text().strip() == "adaptive"
    assert names(opened)[-1] == "median[size=3]"  # has no adaptive number
    head.click()
    assert names(opened)[0] == "none"
    assert names(opened)[-1] == "median[size=3]"
    board.get_by_role("button", name="Defense", exact=True).click()
    assert names(opened) == sorted(before, key=str.lower)
    board.get_by_role("button", name="Rank", exact=True).click()
    assert names(opened)[0] == before[0]


def test_sorting_by_a_cost_column_uses_its_numbers(opened: Any) -> None:
    opened.locator("table.board").first.get_by_role("button", name="uplink").click()
    assert names(opened)[:3] == ["qusec-cq[levels=2]", "qusec-tq[levels=4,hardness=50]", "jpeg[quality=50]"]


def test_filtering_by_name_and_by_rank(opened: Any) -> None:
    everything = names(opened)
    opened.get_by_role("searchbox").fill("QUSEC none")
    assert sorted(names(opened)) == ["none", "qusec-cq[levels=2]", "qusec-tq[levels=4,hardness=50]"]
    assert opened.locator(".filters output").inner_text() == "3 of 7 defenses shown"
    assert not opened.locator(".pictures figure[data-defense='jpeg[quality=50]']").first.is_visible()
    opened.get_by_role("searchbox").fill("")
    opened.get_by_role("checkbox").check()
    assert set(everything) - set(names(opened)) == {
        "median[size=3]",
        "jpeg[quality=50]",
        "superiot[window=3]",  # made up: an attack that does nothing breaks images
    }
    opened.get_by_role("checkbox").uncheck()
    assert names(opened) == everything


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}], indirect=True
)
def test_a_phone_does_not_scroll_sideways(opened: Any) -> None:
    for part in opened.locator("details > summary").all():
        part.click()
    assert opened.evaluate("document.documentElement.scrollWidth") <= 391


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_everything_is_there(opened: Any) -> None:
    assert len(names(opened)) == 7
    assert not opened.locator(".filters").is_visible()
    opened.locator("details:has(table.board) > summary").first.click()
    assert opened.locator("details table.board").first.is_visible()


CONTRAST = """(element) => {
  const channels = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colour) => channels(colour)
    .map((c) => c / 255).map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  const style = getComputedStyle(element);
  const paint = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
  const pair = [light(paint), light(getComputedStyle(ground).backgroundColor)].sort((a, b) => b - a);
  return (pair[0] + .05) / (pair[1] + .05);
}"""


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_text_is_legible_in_dark_and_in_light(opened: Any) -> None:
    dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(18, 22, 27)") == dark
    for selector in (
        "h1",
        ".meta",
        "section.short p.lead",
        "tr.unranked th",
        ".badge",
        "caption",
        "figure svg text",
        ".heat td.ok",
    ):
        for element in opened.locator(selector).all()[:12]:
            if element.is_visible():
                assert element.evaluate(CONTRAST) >= 4.5, (selector, element.inner_text())


def test_a_link_opens_the_folded_setting(opened: Any) -> None:
    opened.locator("nav a").nth(1).click()
    assert opened.locator("details:has(table.board)").first.get_attribute("open") is not None
