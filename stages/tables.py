"""Arrange the scores of all cells into tables: -> metrics/tables/, metrics/summary.json."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write each table as CSV and Markdown, which of the paper's claims hold, and the headline numbers."""
    from eos.config.cells import neighbors, networks_shown, settings, step
    from eos.pipeline.paths import METRICS
    from eos.pipeline.results import read_balanced, read_results
    from eos.report.claims import claims, claims_summary, markdown_claims
    from eos.report.markdown import markdown1, markdown2, markdown3, markdown4, markdown5
    from eos.report.published import with_published
    from eos.report.tables import run_rows, summary, table1, table2, table3, table4, table5
    from eos.storage.files import write_json, write_table, write_text
    from eos.storage.layouts import NOTES_BETWEEN

    scores, classes, gaps, notes = (
        read_results(kind, parameters()) for kind in ("scores", "classes", "gaps", "notes")
    )
    balanced = read_balanced(parameters())
    told = balanced[["dataset", "cut", "sampler", "note"]].drop_duplicates()
    pixel_notes = told.assign(note=told["note"].str.split(NOTES_BETWEEN, regex=False)).explode("note")
    pixel_notes = pixel_notes[pixel_notes["note"].fillna("") != ""]
    cells, folder = parameters().tables, METRICS / "tables"

    one = table1(scores, balanced, **cells.table1.model_dump())
    networks = scores["network"].unique().tolist()
    two = table2(scores, networks_shown(parameters(), cells.table2.networks, networks), cells.table2.heads)
    three = table3(scores, balanced, **cells.table3.model_dump())
    sizes = {head: k for head in cells.table4.heads if (k := neighbors(parameters(), head)) is not None}
    sizes = dict(sorted(sizes.items(), key=lambda item: item[1]))
    four = table4(scores, networks_shown(parameters(), (cells.table4.network,), networks), sizes)
    five = table5(scores, **cells.table5.model_dump())
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

    held = claims(scores, balanced, gaps, classes)
    write_table(folder / "claims.csv", held)
    write_text(folder / "claims.md", markdown_claims(held))
    write_json(METRICS / "summary.json", summary(scores, classes) | claims_summary(held))


if __name__ == "__main__":
    run(main)
