"""A page in a real browser, headless: what it logs, what it asks for, how large its parts are."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
# Appended to a copy of the page: measures it once it is laid out, and tells the page around it.
MEASURE = """
<script>
addEventListener("load", () => {
  const box = (element) => {
    const {width, height, left, right} = element.getBoundingClientRect();
    return {width, height, left, right};
  };
  const shown = [...document.images].filter((image) => box(image).width && image.naturalWidth);
  parent.postMessage({
    page: {width: document.documentElement.scrollWidth, window: innerWidth},
    ink: getComputedStyle(document.body).color,
    figures: Object.fromEntries([...document.querySelectorAll("figure")].map((figure) => [
      figure.id,
      shown.filter((image) => figure.contains(image)).map((image) => ({
        ...box(image), place: box(image.parentElement), pixels: image.naturalWidth}))])),
  }, "*");
});
</script>
"""
# A browser's own window has a least width; a frame in it can be as narrow as a phone.
AROUND = """<!doctype html><pre id="measured"></pre>
<script>
addEventListener("message", (event) => {
  document.getElementById("measured").textContent = JSON.stringify(event.data);
});
</script>
<iframe src="page.html" style="border: 0; width: WIDTHpx; height: 900px"></iframe>
"""


@dataclass(frozen=True)
class Visit:
    """What opening a page showed."""

    console: list[str]  # every message
    requests: list[str]  # every address but the page's own
    measured: dict[str, Any]


def visit(page: Path, width: int, folder: Path, dark: bool = False) -> Visit:
    """Open a page in a frame of `width` CSS pixels; makes `folder` for what the browser needs."""
    assert BROWSER is not None
    folder.mkdir()
    copy, around, log = folder / "page.html", folder / "around.html", folder / "net.json"
    # The page's own policy forbids scripts, so the copy that is measured says it without that.
    text = page.read_text(encoding="utf-8")
    policy = "script-src 'unsafe-inline'; style-src"
    copy.write_text(text.replace("style-src", policy, 1) + MEASURE, encoding="utf-8")
    around.write_text(AROUND.replace("WIDTH", str(width)), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",  # as root, in CI
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width + 40},1000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--enable-logging=stderr",
        f"--log-net-log={log}",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    command = [BROWSER, *options, around.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    return Visit(
        console=re.findall(r":CONSOLE[^]]*\] (.*)", done.stderr),
        requests=_requests(log),
        measured=json.loads(html.unescape(found[1])),
    )


def _requests(log: Path) -> list[str]:
    """The addresses that the page had the browser ask for, by the browser's own network log."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    # "not an origin" is the browser itself, asking its maker for updates.
    return sorted({one["url"] for one in asked if one["initiator"] != "not an origin"})
