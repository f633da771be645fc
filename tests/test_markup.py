"""Text out of data in Markdown, and tables of it."""

from __future__ import annotations

from recbole_logq.markup import in_markdown, markdown_table


def test_a_table_has_a_cell_for_each_heading_and_no_spaces_in_empty_ones() -> None:
    rows = [["a", 1], ["", in_markdown("x|y")]]
    assert markdown_table(["", "n"], rows) == "| | n |\n|---|---|\n| a | 1 |\n| | x\\|y |"
    assert markdown_table(["only"], []) == "| only |\n|---|"
