"""What the axes of a plot have room for."""

from __future__ import annotations

import re

import pytest

from recbole_logq.report.svg import HEIGHT, WIDTH, Plot, Scale

NAME = 19.0
"""Right end of the letters of the y axis's name."""


@pytest.mark.parametrize("values", [(1, 2), (0.0245, 0.0246), (2.3e-5, 9.1e-5), (1.2e6, 1.4e6)], ids=str)
def test_ticks_do_not_run_into_the_name_of_their_axis(values: tuple[float, float]) -> None:
    """A digit is about 6.6 wide at the size of the page."""
    drawn = Plot("p", Scale([0, 1]), Scale(values), "x", "y").svg()
    ticks = re.findall(r"<text x='([\d.]+)' y='[\d.]+' text-anchor='end'>([^<]+)<", drawn)
    assert len(ticks) > 2
    assert all(float(x) - 6.6 * len(text) > NAME + 3 for x, text in ticks)
    frame = [float(x) for x in re.findall(r"class='grid' d='M([\d.]+),", drawn)]
    assert min(frame) == float(ticks[0][0]) + 6
    assert max(frame) <= WIDTH
    assert f"viewBox='0 0 {WIDTH} {HEIGHT}'" in drawn
