"""Arrange the scores of all cells into tables: -> metrics/tables/, metrics/summary.json."""

import common
from eos.cells import neighbors, settings
from eos.files import write_json, write_table, write_text
from eos.tables import markdown2, markdown4, summary, table2, table4
from results import read_results


def main() -> None:
    """Write each table as CSV and Markdown, and the headline numbers."""
    parameters = common.parameters()
    scores, classes, notes = (read_results(kind, parameters) for kind in ("scores", "classes", "notes"))
    folder = common.METRICS / "tables"

    grid = parameters.tables.table2
    losses = table2(scores, grid.networks, grid.heads)
    write_table(folder / "table2.csv", losses)
    ours = {head: said for head in grid.heads if (said := settings(parameters, head))}
    write_text(folder / "table2.md", markdown2(losses, notes, ours))

    row = parameters.tables.table4
    sizes = {head: neighbors(parameters, head) for head in row.heads}
    sizes = dict(sorted(sizes.items(), key=lambda item: item[1]))
    steps = {head: settings(parameters, head).split(", ", 1)[1] for head in sizes}
    neighborhoods = table4(scores, row.network, sizes)
    write_table(folder / "table4.csv", neighborhoods)
    write_text(folder / "table4.md", markdown4(neighborhoods, notes, steps))

    write_json(common.METRICS / "summary.json", summary(scores, classes))


if __name__ == "__main__":
    common.run(main)
