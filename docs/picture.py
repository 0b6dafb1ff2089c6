"""Take the README's picture of a published page: ``python docs/picture.py``; needs playwright and chromium.

The picture says which figures it shows, so that a test finds one that has grown old.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

TOP = Path(__file__).parent.parent
PAGE = TOP / "reports" / "mnist" / "index.html"
FIGURES = PAGE.with_name("leaderboard.csv")
PICTURE = TOP / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1280, 1760
SCALE = 0.75  # so that a table of the width of a desk fits into a README
FIELD = "leaderboard"  # of the PNG


def shown() -> str:
    """Return the digest of the figures that the picture shows, "" where it does not say."""
    with Image.open(PICTURE) as picture:
        return str(picture.info.get(FIELD, ""))


def digest() -> str:
    """Return the digest of the figures that are published."""
    return hashlib.sha256(FIGURES.read_bytes()).hexdigest()


def taken() -> bytes:
    """Return the top of the page as a PNG, as a reader at a desk sees it."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE)
        page.goto(PAGE.as_uri(), wait_until="load")
        picture = page.screenshot()
        browser.close()
    return picture


if __name__ == "__main__":
    told = PngInfo()
    told.add_text(FIELD, digest())
    with Image.open(io.BytesIO(taken())) as picture:
        picture.convert("RGB").save(PICTURE, optimize=True, pnginfo=told)
