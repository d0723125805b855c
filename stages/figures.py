"""Draw the figures of a dataset: DATASET -> plots/<dataset>/*.svg, metrics/figures/<dataset>/*.csv."""

from typing import Any

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write each figure as SVG, and the numbers it shows as CSV."""
    from eos.config.cells import eos_settings, head_labels, networks_of, shown_network, shown_networks
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report import charts
    from eos.storage.files import write_table

    kinds = "classes", "confusion", "curves", "scores"
    classes, confusion, curves, scores = (read_results(kind, parameters(), [dataset]) for kind in kinds)

    def write(data: Any, chart: Any) -> None:
        charts.save_svg(chart, PLOTS / dataset / f"{chart.name}.svg")
        write_table(METRICS / "figures" / dataset / f"{chart.name}.csv", data)

    def cells(grid: Any) -> tuple[Any, ...]:
        return dataset, shown_networks(parameters(), dataset, grid.networks), labels(grid.heads)

    def labels(heads: tuple[str, ...]) -> dict[str, str]:
        return head_labels(parameters(), heads)

    asked, of = parameters().figures, charts.cuts_text(classes, dataset)
    gaps = charts.figure3_data(classes, *cells(asked.figure3))
    write(gaps, charts.figure3(gaps, labels(asked.figure3.heads), of))
    norms = charts.figure5_data(classes, *cells(asked.figure5))
    write(norms, charts.figure5(norms, labels(asked.figure5.heads), of))
    found = charts.recall_data(classes, *cells(asked.recall))
    write(found, charts.recall_chart(found, labels(asked.recall.heads), of))
    taken = charts.confusion_data(confusion, classes, *cells(asked.confusion))
    write(taken, charts.confusion_chart(taken, labels(asked.confusion.heads), of))
    networks = networks_of(parameters(), dataset)
    settings = charts.settings_data(scores, dataset, networks, eos_settings(parameters()))
    write(settings, charts.settings_chart(settings, of, scores=scores))

    heads, epochs = labels(asked.figure7.heads), parameters().head_training.epochs
    network = shown_network(parameters(), dataset, asked.figure7.network)
    lines = charts.figure7_data(curves, dataset, network, heads)
    write(lines, charts.figure7(lines, heads, of, table_epochs=epochs, scores=scores))


if __name__ == "__main__":
    run(main, embeddings=True)
