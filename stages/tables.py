"""Arrange the scores of all cells into tables: -> metrics/tables/, metrics/summary.json."""

from collections.abc import Callable
from typing import Any

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write each table as CSV and Markdown, which of the paper's claims hold, and the headline numbers."""
    import pandas as pd

    from eos.config.cells import head_labels, neighbors, settings, shown_networks, step
    from eos.pipeline.methods import read_comparison
    from eos.pipeline.paths import METRICS
    from eos.pipeline.results import read_balanced, read_results
    from eos.report.cited import cited, markdown_cited
    from eos.report.claims import claims, claims_held, markdown_claims
    from eos.report.markdown import markdown1, markdown2, markdown3, markdown4, markdown5
    from eos.report.methods import methods_table
    from eos.report.methods_page import methods_page
    from eos.report.published import with_published
    from eos.report.tables import run_rows, summary, table1, table2, table3, table4, table5
    from eos.storage.files import write_json, write_table, write_text
    from eos.storage.layouts import NOTES_BETWEEN

    sets = parameters().axes.embeddings
    scores, classes, gaps, notes = (
        read_results(kind, parameters(), (*parameters().axes.datasets, *sets))
        for kind in ("scores", "classes", "gaps", "notes")
    )
    of_images = scores[~scores["dataset"].isin(sets)]  # which Tables I, III and V need
    balanced = read_balanced(parameters())
    told = balanced[["dataset", "cut", "sampler", "note"]].drop_duplicates()
    pixel_notes = told.assign(note=told["note"].str.split(NOTES_BETWEEN, regex=False)).explode("note")
    pixel_notes = pixel_notes[pixel_notes["note"].fillna("") != ""]
    cells, folder = parameters().tables, METRICS / "tables"

    def by_dataset(make: Callable[..., Any], listed: tuple[str, ...], of: Any) -> pd.DataFrame:
        """Make a table of each dataset by itself: which networks it shows differs."""
        parts = scores.groupby("dataset", sort=False)
        shown = {dataset: shown_networks(parameters(), str(dataset), listed) for dataset, _ in parts}
        return pd.concat([make(rows, shown[dataset], of) for dataset, rows in parts], ignore_index=True)

    one = table1(of_images, balanced, **cells.table1.model_dump())
    two = by_dataset(table2, cells.table2.networks, cells.table2.heads)
    three = table3(of_images, balanced, **cells.table3.model_dump())
    sizes = {head: k for head in cells.table4.heads if (k := neighbors(parameters(), head)) is not None}
    sizes = dict(sorted(sizes.items(), key=lambda item: (isinstance(item[1], str), item[1])))
    four = by_dataset(table4, (cells.table4.network,), sizes)
    five = table5(of_images, **cells.table5.model_dump())
    tables = {
        number: with_published(table, number) for number, table in enumerate((one, two, three, four, five), 1)
    }
    for number, table in tables.items():
        write_table(folder / f"table{number}.csv", run_rows(table))

    steps = {head: step(parameters(), head) for head in sizes}
    pages = {
        1: markdown1(tables[1], notes, settings(parameters(), cells.table1.heads), pixel_notes),
        2: markdown2(tables[2], notes, settings(parameters(), cells.table2.heads)),
        3: markdown3(tables[3], notes, settings(parameters(), (cells.table3.head,)), pixel_notes),
        4: markdown4(tables[4], notes, steps),
        5: markdown5(tables[5], notes, settings(parameters(), cells.table5.heads)),
    }
    for number, page in pages.items():
        write_text(folder / f"table{number}.md", page)

    beside = cited(scores, balanced, **cells.cited.model_dump())
    write_table(folder / "cited.csv", run_rows(beside))
    write_text(
        folder / "cited.md",
        markdown_cited(beside, head_labels(parameters(), parameters().heads), notes, pixel_notes),
    )

    comparison = read_comparison(parameters())
    write_table(folder / "methods.csv", methods_table(comparison))
    write_text(folder / "methods.md", methods_page(comparison))

    held = claims(scores, balanced, gaps, classes)
    write_table(folder / "claims.csv", held)
    write_text(folder / "claims.md", markdown_claims(held))
    write_json(METRICS / "summary.json", summary(scores, classes, claims_held(held)))


if __name__ == "__main__":
    run(main)
