"""Curves: points lie where the axes say, and what can't be drawn is left out."""

import re

import pytest

from webimagetext.curves import HEIGHT, MOST, WIDTH, Line, _Axis, curves
from webimagetext.page import page


def test_points_lie_between_their_ticks() -> None:
    axis = _Axis([2.0, 10.0], 40, 400, False)
    assert axis.ticks() == [2, 4, 6, 8, 10]
    assert axis.at(6) == pytest.approx((axis.at(2) + axis.at(10)) / 2)
    by_ten = _Axis([1e3, 1e9], 0, 60, True)
    assert by_ten.at(1e6) == pytest.approx(30) and by_ten.ticks()[:2] == [1e3, 1e4]
    flat = _Axis([0.5, 0.5], 0, 10, False)
    assert 0 < flat.at(0.5) < 10 and flat.ticks()


def test_a_line_goes_up_where_its_values_do() -> None:
    text = curves([Line("a <b>", [(1, 0.1), (2, 0.2), (3, 0.9)])], across="steps", up="accuracy")
    (path,) = re.findall(r'<path d="M([^"]+)" style', text)
    places = [tuple(map(float, place.split(","))) for place in path.split(" L")]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert places[0][0] < places[1][0] < places[2][0] and places[0][1] > places[1][1] > places[2][1]
    assert "a &lt;b&gt;" in text and "<b>" not in text


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert curves([], across="x", up="y") == ""
    assert curves([Line("none", [(0, 1), (-1, 2)])], across="x", up="y", log_across=True) == ""
    text = curves([Line("one", [(1, float("nan")), (2, 3)])], across="x", up="y")
    assert text.count("<circle") == 1
    long = curves([Line("many", [(x, x % 7) for x in range(5000)])], across="x", up="y")
    assert long.count(" L") == MOST - 1


def test_a_page_lists_the_sections_that_have_a_body() -> None:
    text = page("A & B", "<p>lead</p>", {"One two": "<p>1</p>", "Three": ""})
    assert '<a href="#one-two">One two</a>' in text and "Three" not in text
    assert "<title>A &amp; B</title>" in text and "default-src 'none'" in text
