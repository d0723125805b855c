"""Draw the figures of a dataset: DATASET -> plots/<dataset>/*.svg, metrics/figures/<dataset>/*.csv."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write each figure as SVG, and the numbers it shows as CSV."""
    from eos.config.cells import eos_settings, head_labels, networks_shown
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report import figures
    from eos.storage.files import write_table

    kinds = "classes", "confusion", "curves", "scores"
    classes, confusion, curves, scores = (read_results(kind, parameters()) for kind in kinds)
    networks = scores.loc[scores["dataset"] == dataset, "network"].unique().tolist()
    pictures = PLOTS / dataset
    numbers = METRICS / "figures" / dataset

    grids = {
        "figure3": (figures.figure3, figures.figure3_data, (classes,), parameters().figures.figure3),
        "figure5": (figures.figure5, figures.figure5_data, (classes,), parameters().figures.figure5),
        "recall": (figures.recall_figure, figures.recall_data, (classes,), parameters().figures.recall),
        "confusion": (
            figures.confusion_figure,
            figures.confusion_data,
            (confusion, classes),
            parameters().figures.confusion,
        ),
    }
    for name, (draw, data, results, cells) in grids.items():
        shown = networks_shown(parameters(), cells.networks, networks), head_labels(parameters(), cells.heads)
        figures.save_svg(draw(*results, dataset, *shown), pictures / f"{name}.svg")
        write_table(numbers / f"{name}.csv", data(*results, dataset, *shown))

    settings = eos_settings(parameters())
    figures.save_svg(figures.settings_figure(scores, dataset, networks, settings), pictures / "settings.svg")
    write_table(numbers / "settings.csv", figures.settings_data(scores, dataset, networks, settings))

    row = parameters().figures.figure7
    asked = networks_shown(parameters(), (row.network,), networks)
    network = next((one for one in asked if one in networks), row.network)
    is_own = (scores["dataset"] == dataset) & (scores["network"] == network) & (scores["head"] == "own")
    own = float(scores.loc[is_own, "BAC"].mean()) if is_own.any() else None
    heads, epochs = head_labels(parameters(), row.heads), parameters().head_training.epochs
    drawn = figures.figure7(curves, dataset, network, heads, table_epochs=epochs, own=own)
    figures.save_svg(drawn, pictures / "figure7.svg")
    write_table(numbers / "figure7.csv", figures.figure7_data(curves, dataset, network, heads))


if __name__ == "__main__":
    run(main)
