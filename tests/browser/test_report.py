"""The report in a real browser: headings, drawings with a size, nothing clipped, no error on the console."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from report_home import HOSTILE, SECTIONS, make_home, summary_of

from pipelines.report import write_report

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--hide-scrollbars",
]

# Stands at the end of a copy of the page and leaves what it measured where --dump-dom shows it.
_MEASURE = """
<script>
const svgs = [...document.querySelectorAll("svg")];
const round = (box) => [Math.round(box.width), Math.round(box.height)];
const clipped = svgs.flatMap((svg) => [...svg.querySelectorAll("text")].filter((text) => {
  const box = text.getBBox(), view = svg.viewBox.baseVal;
  const right = box.x + box.width, bottom = box.y + box.height;
  return box.x < -1 || box.y < -1 || right > view.width + 1 || bottom > view.height + 1;
}).map((text) => text.textContent));
const note = document.createElement("pre");
note.id = "measured";
note.textContent = JSON.stringify({
  headings: [...document.querySelectorAll("h2")].map((heading) => heading.textContent),
  sections: [...document.querySelectorAll("section")].map((section) => section.id),
  svgs: svgs.map((svg) => round(svg.getBoundingClientRect())),
  clipped,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  background: getComputedStyle(document.body).backgroundColor,
  legend: [...document.querySelectorAll("#intake i.k-observed, #intake i.k-overlay")]
    .map((mark) => getComputedStyle(mark).backgroundColor),
  contents: getComputedStyle(document.querySelector("nav")).position,
});
document.body.append(note);
</script></body>
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    home = tmp_path_factory.mktemp("report") / "var"
    return write_report(make_home(home, sku=HOSTILE), summary_of())


def browse(page, folder, *flags):
    """Run the browser on a file; answers its output and what the page said on the console."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "install Chromium: this test looks at the report in a real browser"
    done = subprocess.run(
        [chromium, *_FLAGS, f"--user-data-dir={folder}", *flags, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def measure(report, tmp_path, *flags):
    page = tmp_path / "measured.html"
    page.write_text(report.read_text().replace("</body>", _MEASURE))
    dom, console = browse(page, tmp_path / "profile", "--dump-dom", *flags)
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-500:]
    return json.loads(unescape(found.group(1))), console


@pytest.mark.parametrize("width", [1360, 520])
def test_the_page_stands_in_a_browser(report, tmp_path, width):
    seen, console = measure(report, tmp_path, f"--window-size={width},1000")
    assert console == []
    assert seen["sections"] == SECTIONS
    assert seen["headings"][0] == "The run in one view"
    assert len(seen["headings"]) == len(SECTIONS)
    assert len(seen["svgs"]) > 20
    assert all(wide >= 200 and high >= 20 for wide, high in seen["svgs"]), seen["svgs"]
    assert seen["clipped"] == []
    assert seen["overflow"] == 0
    assert seen["contents"] == "sticky"


def test_observed_and_overlay_differ_in_light_and_in_dark(report, tmp_path):
    light, _ = measure(report, tmp_path, "--blink-settings=preferredColorScheme=1")
    dark, _ = measure(report, tmp_path, "--blink-settings=preferredColorScheme=0")
    for seen in (light, dark):
        assert len(set(seen["legend"])) == 2
    assert light["background"] != dark["background"]
    assert set(light["legend"]).isdisjoint(dark["legend"])


def test_a_picture_can_be_taken(report, tmp_path):
    picture = tmp_path / "report.png"
    browse(report, tmp_path / "profile", f"--screenshot={picture}", "--window-size=1360,2000")
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size > 50_000
