"""Markdown as parts of a page."""

import pytest

from eos.page.tables import Grid, grid, number, sections

PAGE = """# Table II: heads

Selection `last`.

## Digits

| Loss | Head      | BAC               | FM    | Rank |
|:-----|:----------|:------------------|:------|:-----|
| CE   | Own       |   .9160           | .9101 | 2.0  |
|      | SMOTE [1] | **.9327 ± .0012** | .9309 | 1.5  |
| ASL  | Own       |   .8940           | .8847 | 3.0  |

- [1] filled by "SMOTE" < all
- Not run: EOS.

## Wide

| Head | CE    |
|:-----|:------|
| a    | .1000 |
| b    | .2000 |

| Head | Mean  | Rank |
|:-----|:------|:-----|
| a    | .3000 | 1.0  |
| b    | .2000 | 2.0  |
"""


def test_a_page_falls_into_its_sections() -> None:
    first, digits, wide = sections(PAGE)
    assert (first.title, digits.title, wide.title) == ("Table II: heads", "Digits", "Wide")
    assert first.parts == ["<p>Selection <code>last</code>.</p>\n"]


def test_a_cell_that_is_empty_repeats_the_group_above() -> None:
    table = sections(PAGE)[1].grids[0]
    assert [(row[0].html, row[0].again) for row in table.rows] == [
        ("CE", False),
        ("CE", True),
        ("ASL", False),
    ]


def test_the_best_of_a_column_is_marked_by_which_way_is_better() -> None:
    table = sections(PAGE)[1].grids[0]
    marked = [
        (row, column)
        for row, cells in enumerate(table.rows)
        for column, cell in enumerate(cells)
        if cell.best
    ]
    assert marked == [(1, 2), (1, 3), (1, 4)]
    assert table.numeric == (False, False, True, True, True)


def test_a_note_is_at_hand_in_its_cell() -> None:
    shown = sections(PAGE)[1].grids[0].rows[1][1].html
    assert 'title="filled by &quot;SMOTE&quot; &lt; all"' in shown
    assert "[1]" not in shown


def test_tables_that_the_width_has_divided_are_one() -> None:
    (table,) = sections(PAGE)[2].grids
    assert table.head == ("Head", "CE", "Mean", "Rank")
    # Where there are a mean and a rank, the other columns are networks.
    assert [[cell.best for cell in row[1:]] for row in table.rows] == [
        [False, True, True],
        [True, False, False],
    ]


def test_numbers_with_and_without_deviations_stand_in_line() -> None:
    rows = sections(PAGE)[1].grids[0].rows
    assert all('<span class="sd">' in row[2].html for row in rows)
    assert not any('<span class="sd">' in row[3].html for row in rows)


def test_a_long_list_is_folded_and_a_short_one_is_not() -> None:
    lines = [f"- line {place}" for place in range(20)]
    assert "<summary>20 lines</summary>" in str(sections("\n".join(lines))[0].parts[0])
    assert "<summary>" not in str(sections("\n".join(lines[:5]))[0].parts[0])


def test_text_of_results_is_no_html() -> None:
    assert grid(["Data set"], [["<script>alert(1)</script>"]]).rows[0][0].html.startswith("&lt;script&gt;")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("**.9327 ± .0012**", 0.9327), ("-.0120", -0.012), ("+.0407", 0.0407), ("1,234.5", 1234.5),
        ("87 of 138", 87 / 138), ("p < .001", 0.001), ("p = 0.012", 0.012), ("21.3:1", 21.3),
        ("10 [1]", 10.0), ("0 of 0", None), ("", None), ("all", None), ("not run", None),
        ("4,500 to 45", None), ("1-3, 7", None), ("3D data", None),
    ],
)  # fmt: skip
def test_cells_sort_by_their_number(text: str, found: float | None) -> None:
    assert number(text) == found


def test_a_table_without_rows_has_heads() -> None:
    assert grid(["A", "B"], []) == Grid(("A", "B"), ())
    assert grid(["A", "B"], []).numeric == (False, False)


def test_a_column_that_says_nothing_of_a_data_set_is_left_out() -> None:
    text = "| Claim | Hold | In the paper |\n|:--|:--|:--|\n| a | 1 of 2 | |\n| | | |\n"
    (table,) = sections(text)[0].grids
    assert table.head == ("Claim", "Hold")
    assert [len(row) for row in table.rows] == [2, 2]
