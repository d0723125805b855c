"""Draw the figures of a dataset: DATASET -> plots/<dataset>/*.svg, metrics/figures/<dataset>/*.csv."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write each figure as SVG, and the numbers it shows as CSV."""
    from eos.config.cells import shown_network, shown_networks
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report.figures import (
        figure3,
        figure3_data,
        figure5,
        figure5_data,
        figure7,
        figure7_data,
        save_svg,
    )
    from eos.storage.files import write_table

    kinds = "classes", "curves", "scores"
    classes, curves, scores = (read_results(kind, parameters(), [dataset]) for kind in kinds)
    pictures = PLOTS / dataset
    numbers = METRICS / "figures" / dataset

    gaps = parameters().figures.figure3
    networks = shown_networks(parameters(), dataset, gaps.networks)
    save_svg(figure3(classes, dataset, networks, gaps.heads), pictures / "figure3.svg")
    write_table(numbers / "figure3.csv", figure3_data(classes, dataset, networks, gaps.heads))

    norms = parameters().figures.figure5
    networks = shown_networks(parameters(), dataset, norms.networks)
    save_svg(figure5(classes, dataset, networks, norms.heads), pictures / "figure5.svg")
    write_table(numbers / "figure5.csv", figure5_data(classes, dataset, networks, norms.heads))

    row = parameters().figures.figure7
    network = shown_network(parameters(), dataset, row.network)
    is_own = (scores["dataset"] == dataset) & (scores["network"] == network) & (scores["head"] == "own")
    own = float(scores.loc[is_own, "BAC"].mean()) if is_own.any() else None
    epochs = parameters().head_training.epochs
    drawn = figure7(curves, dataset, network, row.heads, table_epochs=epochs, own=own)
    save_svg(drawn, pictures / "figure7.svg")
    write_table(numbers / "figure7.csv", figure7_data(curves, dataset, network, row.heads))


if __name__ == "__main__":
    run(main, embeddings=True)
