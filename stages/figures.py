"""Draw the figures of a dataset: DATASET -> plots/<dataset>/*.svg, metrics/figures/<dataset>/*.csv."""

from typing import Any

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write each figure as SVG, and the numbers it shows as CSV."""
    from eos.config.cells import eos_settings, head_labels, networks_of, shown_network, shown_networks
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report.figures import (
        confusion_data,
        confusion_figure,
        figure3,
        figure3_data,
        figure5,
        figure5_data,
        figure7,
        figure7_data,
        recall_data,
        recall_figure,
        save_svg,
        settings_data,
        settings_figure,
    )
    from eos.storage.files import write_table

    kinds = "classes", "confusion", "curves", "scores"
    classes, confusion, curves, scores = (read_results(kind, parameters(), [dataset]) for kind in kinds)

    def write(name: str, figure: Any, data: Any) -> None:
        save_svg(figure, PLOTS / dataset / f"{name}.svg")
        write_table(METRICS / "figures" / dataset / f"{name}.csv", data)

    def cells(grid: Any) -> tuple[Any, ...]:
        return dataset, shown_networks(parameters(), dataset, grid.networks), labels(grid.heads)

    def labels(heads: tuple[str, ...]) -> dict[str, str]:
        return head_labels(parameters(), heads)

    asked = parameters().figures
    gaps, norms, found = cells(asked.figure3), cells(asked.figure5), cells(asked.recall)
    write("figure3", figure3(classes, *gaps), figure3_data(classes, *gaps))
    write("figure5", figure5(classes, *norms), figure5_data(classes, *norms))
    write("recall", recall_figure(classes, *found), recall_data(classes, *found))
    matrices = confusion, classes, *cells(asked.confusion)
    write("confusion", confusion_figure(*matrices), confusion_data(*matrices))
    settings = scores, dataset, networks_of(parameters(), dataset), eos_settings(parameters())
    write("settings", settings_figure(*settings), settings_data(*settings))

    row = asked.figure7
    network = shown_network(parameters(), dataset, row.network)
    lines = curves, dataset, network, labels(row.heads)
    is_own = (scores["dataset"] == dataset) & (scores["network"] == network) & (scores["head"] == "own")
    own = float(scores.loc[is_own, "BAC"].mean()) if is_own.any() else None
    epochs = parameters().head_training.epochs
    write("figure7", figure7(*lines, table_epochs=epochs, own=own), figure7_data(*lines))


if __name__ == "__main__":
    run(main, embeddings=True)
