"""The page in headless Chromium, offline, as its readers open it."""

from __future__ import annotations

import re
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
    rows = page.locator("table.board").first.locator("tbody tr:not(.more):visible")
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
    opened.locator("summary:has(#pictures)").click()
    assert opened.locator(".pictures figure[data-defense='none']").is_visible()
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


def lines(page: Any) -> list[tuple[str, bool]]:
    """Return the visible rows of the first leaderboard: of which defense, and whether it is the one below."""
    rows = page.locator("table.board").first.locator("tbody tr:visible").all()
    return [(row.get_attribute("data-defense"), "more" in (row.get_attribute("class") or "")) for row in rows]


def test_what_gates_say_stays_below_its_defense_when_sorted_and_filtered(opened: Any) -> None:
    for act in (
        lambda: opened.locator("table.board").first.get_by_role("button", name="Defense", exact=True).click(),
        lambda: opened.locator("table.board").first.get_by_role("button", name="adaptive").click(),
        lambda: opened.get_by_role("searchbox").fill("qusec none"),
        lambda: opened.get_by_role("checkbox").check(),
    ):
        act()
        assert lines(opened) == [(name, below) for name in names(opened) for below in (False, True)]


def test_opened_evidence_overprints_nothing_and_does_not_fill_the_screen(opened: Any) -> None:
    below = opened.locator("table.board").first.locator("tr.more").first
    below.locator("summary").click()
    box, text = below.bounding_box(), below.locator("ul").bounding_box()
    assert box["height"] < 600
    assert text["width"] > 700
    assert box["y"] <= text["y"] <= text["y"] + text["height"] <= box["y"] + box["height"]


@pytest.mark.parametrize("opened", [{"viewport": {"width": 1280, "height": 800}}], indirect=True)
def test_a_link_does_not_land_under_the_bar(opened: Any) -> None:
    opened.emulate_media(reduced_motion="reduce")
    for part in ("gates", "compared"):
        opened.locator(f"nav a[href='#{part}']").click()
        opened.wait_for_function("scrollY > 500")
        bar = opened.locator(".filters").bounding_box()
        assert opened.locator(f"#{part}").bounding_box()["y"] >= bar["y"] + bar["height"]


def test_a_head_keeps_its_hint_and_says_that_it_sorts(opened: Any) -> None:
    head = opened.locator("table.board").first.get_by_role("button", name="uplink")
    assert head.get_attribute("title").startswith("mean bytes an image")
    assert head.get_attribute("title").endswith("Sort by this column")


def test_hints_can_be_read_without_a_pointer(opened: Any) -> None:
    legend = opened.locator("details.columns").first
    legend.locator("summary").focus()
    opened.keyboard.press("Enter")
    assert legend.get_by_text("mean bytes an image").is_visible()


def test_bytes_are_not_sorted_among_milliseconds(opened: Any) -> None:
    opened.locator("summary:has(#figures)").click()
    table = opened.get_by_label("Cost figures").locator("table")
    table.get_by_role("button", name="Value").click()
    cells = table.locator("td[data-group]").all()
    found = [(cell.get_attribute("data-group"), float(cell.get_attribute("data-v"))) for cell in cells]
    groups = list(dict.fromkeys(group for group, _ in found))
    assert len(groups) == 7
    assert found == [pair for group in groups for pair in sorted((p for p in found if p[0] == group), reverse=True)]


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}], indirect=True
)
def test_on_a_phone_every_table_that_scrolls_keeps_its_names(opened: Any) -> None:
    for part in opened.locator("details > summary").all():
        part.click()
    seen = 0
    for box in opened.locator(".scroll").all():
        if box.is_visible() and box.evaluate("b => b.scrollWidth > b.clientWidth + 40"):
            name = box.locator("th.name, table:not(.board) tr > :first-child").last
            box.evaluate("b => { b.scrollLeft = 400; }")
            left, edge = name.bounding_box()["x"], box.bounding_box()["x"]
            assert edge - 1 <= left <= edge + 20, box.get_attribute("aria-label")
            assert name.bounding_box()["width"] < 180, box.get_attribute("aria-label")
            seen += 1
    assert seen > 5


def test_what_slips_past_the_check_of_sections_does_not_run(browser: Any, address: str, tmp_path: Path) -> None:
    """The policy stands behind the check: a section's script that nobody saw is refused by the browser."""
    planted = '<textarea><b title="</textarea><img src=x:1 onerror=document.title=42>">x</b></textarea>'
    source = Path(address.removeprefix("file://")).read_text()
    for name, text in (("kept", source), ("without", re.sub(r'<meta http-equiv="Content[^>]*>', "", source))):
        (tmp_path / f"{name}.html").write_text(
            text.replace("<main>", f"<main>{planted}<script>document.title=43</script>")
        )
    titles = {}
    for name in ("kept", "without"):
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.goto((tmp_path / f"{name}.html").as_uri(), wait_until="load")
        titles[name] = page.title()
        context.close()
    assert titles["kept"].startswith("Edge defenses compared")
    assert titles["without"] in ("42", "43")
