"""Photographs the console of a running system for the documentation: docs/images/*.png.

`python scripts/screenshots.py [URL]` looks at http://127.0.0.1:8080 where no other address is given. It shows what is
there: start the system with `rookery up`, let it train, and give it something to show. Needs a Chromium, on the path
or named by CHROMIUM.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE = (1440, 900)
PHONE = (390, 844)
MOST_BYTES = 300_000
# After the page is drawn: figures of inference come within a second or two.
SETTLE_MS = 2500


class Picture(NamedTuple):
    """A file, what it shows, and how. `press`: a button to press before."""

    name: str
    path: str
    size: tuple[int, int] = WIDE
    dark: bool = False
    press: str = ""


def pictures(read: Any) -> list[Picture]:
    """What is photographed; `read` answers GET requests."""
    runs = read("/api/runs?limit=50")["runs"]
    models = read("/api/models")
    telling = next((run for run in runs if run["outcome"] == "held"), None) or next(
        (run for run in runs if run["outcome"] == "trained"), None
    )
    found = [
        Picture("overview", "/"),
        Picture("overview-dark", "/", dark=True),
        Picture("overview-phone", "/", size=PHONE),
        Picture("runs", "/runs"),
        Picture("events", "/events"),
        Picture("models", "/models"),
        Picture("try", "/try"),
        Picture("pause", "/", press="Pause schedule"),
    ]
    if telling:
        found += [Picture("run", f"/runs/{telling['id']}"), Picture("run-dark", f"/runs/{telling['id']}", dark=True)]
    if models:
        model = next((one for one in models if one["held"]), models[0])
        found += [Picture("model", f"/models/{model['name']}"), Picture("data", f"/data/{model['dataset']}")]
        if model["held"] and model["live"]:
            found.append(Picture("compare", f"/models/{model['name']}/compare/{model['live']}..{model['held'][0]}"))
    return found


def photograph(browser: Browser, url: str, picture: Picture) -> int:
    """Takes one picture, and returns its bytes."""
    width, height = picture.size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if picture.dark else "light", locale="en-GB"
    )
    page = context.new_page()
    page.goto(url + picture.path)
    page.wait_for_selector("#content > *:not(.skeleton)")
    page.wait_for_timeout(SETTLE_MS)
    if picture.press:
        page.get_by_role("button", name=picture.press).first.click()
        page.wait_for_selector("dialog[open]")
    path = IMAGES / f"{picture.name}.png"
    page.screenshot(path=str(path), animations="disabled")
    context.close()
    return path.stat().st_size


def main() -> int:
    """Takes all pictures; fails where one is too large for the documentation."""
    url = (sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080").rstrip("/")
    chromium = os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if chromium is None:
        print(f"no Chromium: install one of {', '.join(BROWSERS)}, or set CHROMIUM to its path", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    too_large = []
    with sync_playwright() as playwright:
        asking = playwright.request.new_context(base_url=url)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in pictures(lambda path: msgspec.json.decode(asking.get(path).body())):
            size = photograph(browser, url, picture)
            print(f"docs/images/{picture.name}.png  {size // 1000} kB")
            if size > MOST_BYTES:
                too_large.append(picture.name)
        browser.close()
    if too_large:
        print(f"larger than {MOST_BYTES // 1000} kB: {', '.join(too_large)}", file=sys.stderr)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
