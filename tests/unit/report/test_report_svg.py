"""Every drawing function, with coordinates worked out by hand."""

import datetime as dt
from xml.etree import ElementTree

import pytest

from pipelines.report import svg
from pipelines.report.svg import Bar, Dot, FanPoint, Move


def parsed(markup):
    return ElementTree.fromstring(str(markup))


def boxes(drawing, kind):
    return [
        tuple(float(shape.get(name)) for name in ("x", "y", "width", "height"))
        for shape in drawing.iter("rect")
        if shape.get("class") == f"k-{kind}"
    ]


def lines(drawing, kind):
    return [
        tuple(float(line.get(name)) for name in ("x1", "y1", "x2", "y2"))
        for line in drawing.iter("line")
        if line.get("class") == kind
    ]


def places(drawing, name, kind):
    shape = next(s for s in drawing.iter(name) if s.get("class") == kind)
    return [tuple(float(v) for v in pair.split(",")) for pair in shape.get("points").split()]


def texts(drawing):
    return [text.text for text in drawing.iter("text")]


def test_bars_are_as_long_as_their_values():
    # Two characters of text take 2 x 6.1 + 12 = 24.2, so 10 units are 300 - 100 - 24.2 = 175.8 pixels.
    drawing = parsed(
        svg.bars([Bar("a", 10, "10", "model"), Bar("b", 5, "5", "rule")], "t", width=300, label_width=100)
    )
    assert boxes(drawing, "model") == [(100, 8, 175.8, 12)]
    assert boxes(drawing, "rule") == [(100, 28, 87.9, 12)]
    assert drawing.get("viewBox") == "0 0 300 64"


def test_logarithmic_bars_take_equal_lengths_for_equal_ratios():
    # One character: 18.1; 281.9 - 100 = 181.9 pixels for three powers of ten; 10 is one of them.
    items = [Bar("a", 1000, "x", "model"), Bar("b", 10, "x", "model"), Bar("c", 0, "x", "model")]
    drawing = parsed(svg.bars(items, "t", width=300, label_width=100, is_log=True))
    assert boxes(drawing, "model") == [(100, 8, 181.9, 12), (100, 28, 60.6, 12), (100, 48, 0, 12)]


def test_dots_stand_between_their_interval():
    # Room on both sides is 6% of the range 2: the axis runs from 0.88 to 3.12 over 300 - 100 - 24.1 pixels.
    drawing = parsed(svg.dots([Dot("a", 2, 1, 3, "x", "model")], "t", width=300, label_width=100))
    circle = next(drawing.iter("circle"))
    assert float(circle.get("cx")) == pytest.approx(100 + 175.9 / 2, abs=0.06)
    assert float(circle.get("cy")) == 14
    ((x1, y1, x2, y2),) = lines(drawing, "l-model thick")
    assert (x1, x2) == pytest.approx((100 + 0.12 / 2.24 * 175.9, 100 + 2.12 / 2.24 * 175.9), abs=0.06)
    assert (y1, y2) == (14, 14)


def test_the_zero_line_is_kept_inside_the_axis():
    # 0 to 10 with 0.6 of room: 0 lies 0.6 / 11.2 of 175.9 pixels right of the labels.
    drawing = parsed(
        svg.dots([Dot("a", 10, None, None, "x", "model")], "t", width=300, label_width=100, zero=True)
    )
    ((x1, _, x2, _),) = lines(drawing, "zero")
    assert x1 == x2 == pytest.approx(100 + 0.6 / 11.2 * 175.9, abs=0.06)
    assert not lines(drawing, "l-model thick")


def test_histogram_stacks_kinds_on_one_another():
    # 42 to 288 are two bins of 123; the axis ends at 3, so one count is 40 of the 120 pixels up from 128.
    drawing = parsed(svg.histogram([0, 1, 2], {"model": [2, 1], "wait": [1, 0]}, "t", width=300, height=150))
    assert boxes(drawing, "model") == [(42.5, 48, 122, 80), (165.5, 88, 122, 40)]
    assert boxes(drawing, "wait") == [(42.5, 8, 122, 40)]


def test_open_end_bins_are_marked_at_their_inner_edge():
    drawing = parsed(
        svg.histogram(
            [0, 1, 2, 3, 4], {"model": [1, 1, 1, 1]}, "t", width=400, opens_low=True, opens_high=True
        )
    )
    assert texts(drawing)[-3:] == ["<1", "2", "≥3"]


def test_fan_draws_what_happened_and_what_was_expected():
    start = dt.date(2017, 1, 2)
    weeks = [start + dt.timedelta(weeks=n) for n in range(4)]
    points = [
        FanPoint(weeks[0], 10, None, None, None),
        FanPoint(weeks[1], 20, None, None, None),
        FanPoint(weeks[2], 30, 10, 20, 30),
        FanPoint(weeks[3], None, 5, 15, 25),
    ]
    drawing = parsed(svg.fan(points, "t", actual_kind="observed", width=340, height=180))
    # 42 to 332 in three weeks; 0 to 30 units from 158 up to 8, five pixels a unit.
    assert places(drawing, "polyline", "l-observed thick") == [(42, 108), (138.7, 58), (235.3, 8)]
    assert places(drawing, "polyline", "l-model thick") == [(235.3, 58), (332, 83)]
    assert places(drawing, "polygon", "band") == [(235.3, 8), (332, 33), (332, 133), (235.3, 108)]
    assert lines(drawing, "origin") == [(235.3, 8, 235.3, 158)]
    assert texts(drawing)[-2:] == ["02 Jan 2017", "23 Jan 2017"]


def test_waterfall_begins_each_step_where_the_one_before_ended():
    # Three characters take 32.3, so 282.3 - 100 - 32.3 = 150 pixels hold 150 units.
    drawing = parsed(
        svg.waterfall(
            ("cost", 100),
            [Move("anchor", 100, 150), Move("step", 150, 120)],
            ("price", 120),
            {"floor": 105},
            "t",
            value_text=lambda value: f"{value:.0f}",
            width=282.3,
            label_width=100,
        )
    )
    assert boxes(drawing, "other") == [(100, 22, 100, 12)]
    assert boxes(drawing, "raise") == [(200, 42, 50, 12)]
    assert boxes(drawing, "cut") == [(220, 62, 30, 12)]
    assert boxes(drawing, "model") == [(100, 82, 120, 12)]
    assert lines(drawing, "limit") == [(205, 14, 205, 98)]


@pytest.mark.parametrize(
    "drawing",
    [
        svg.bars([], "t"),
        svg.dots([], "t"),
        svg.histogram([0, 1], {"model": [0]}, "t"),
        svg.histogram([0], {}, "t"),
        svg.fan([], "t", actual_kind="observed"),
    ],
)
def test_nothing_to_draw_is_no_drawing(drawing):
    assert drawing == ""


def test_values_of_zero_alone_are_drawn():
    assert boxes(parsed(svg.bars([Bar("a", 0, "0", "model")], "t")), "model")[0][2] == 0
    flat = [FanPoint(dt.date(2017, 1, 2), 0, None, None, None)]
    assert places(parsed(svg.fan(flat, "t", actual_kind="other")), "polyline", "l-other thick") == [(42, 148)]


def test_texts_are_escaped():
    hostile = '<script>alert("1")</script> & co'
    drawings = [
        svg.bars([Bar(hostile, 1, hostile, "model")], hostile, label_width=600, width=1200),
        svg.dots([Dot(hostile, 1, 0, 2, hostile, "model")], hostile, label_width=600, width=1200),
        svg.fan([FanPoint(dt.date(2017, 1, 2), 1, None, None, None)], hostile, actual_kind="other"),
        svg.histogram([0, 1], {"model": [1]}, hostile, edge_text=lambda _: hostile),
        svg.waterfall(
            (hostile, 1), [Move(hostile, 1, 2)], (hostile, 2), {hostile: 1}, hostile, value_text=str
        ),
    ]
    for drawing in drawings:
        assert "<script" not in drawing
        assert hostile in {node.text for node in parsed(drawing).iter()}
        assert parsed(drawing).get("aria-label") == hostile
