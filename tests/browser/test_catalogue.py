"""The catalogue in a real browser: searching and choosing shows the tags that fit, and no others."""

import json
import re
from html import unescape

import pytest
from report_home import make_home
from test_report import browse

from pipelines.report.catalogue import write_catalogue

# At the end of a copy of the page: searches, chooses, and leaves what is shown where --dump-dom shows it.
_USE = """
<script>
const visible = () => tags.filter((tag) => tag.checkVisibility()).map((tag) => tag.id);
const type = (text) => { search.value = text; search.dispatchEvent(new Event("input", {bubbles: true})); };
const pick = (name, value) => {
  const choice = document.querySelector(`select[data-of=${name}]`);
  choice.value = value;
  choice.dispatchEvent(new Event("input", {bubbles: true}));
};
const seen = {all: visible().length};
type("refund spend nothing-like-it");
seen.none = visible();
seen.told = document.getElementById("nothing").checkVisibility();
type("coupon");
seen.coupon = visible();
seen.count = document.getElementById("shown").textContent;
type("");
pick("entity", "sku");
pick("type", "bool");
seen.empty = visible();
pick("type", "enum");
seen.sku = visible();
location.hash = "#sku.views_30d";
reveal();
seen.opened = document.getElementById("sku.views_30d").open;
seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const note = document.createElement("pre");
note.id = "seen";
note.textContent = JSON.stringify(seen);
document.body.append(note);
</script></body>
"""


@pytest.mark.parametrize("width", [1400, 480])
def test_search_and_choices(tmp_path, width):
    from feature_store.predicted import PREDICTED
    from feature_store.registry import entities, load_registry

    page = write_catalogue(make_home(tmp_path / "var"))
    used = tmp_path / "used.html"
    used.write_text(page.read_text().replace("</body>", _USE))
    dom, console = browse(used, tmp_path / "profile", "--dump-dom", f"--window-size={width},900")
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)[1]))
    assert console == []
    assert seen["all"] == sum(len(load_registry(entity=entity).tags) for entity in entities()) + len(
        PREDICTED
    )
    assert (seen["none"], seen["told"]) == ([], True)
    assert seen["count"] == str(len(seen["coupon"]))
    assert "consumer.coupon_expiring_3d" in seen["coupon"]
    assert "consumer.recency_days" not in seen["coupon"]
    skus = load_registry(entity="sku").tags.values()
    assert seen["empty"] == []
    assert seen["sku"] == [f"sku.{tag.name}" for tag in skus if tag.type.value == "enum"]
    assert seen["opened"]
    assert seen["overflow"] <= 0
