"""Draw the gaps of true and of false positives: [SET OF EMBEDDINGS] -> plots/, metrics/figures/."""

from eos.pipeline.command import parameters, run


def main(dataset: str = "") -> None:
    """Write the figure as SVG, and the numbers it shows as CSV: of all datasets of images, or of one set."""
    from eos.config.cells import shown_networks
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report.figures import figure4, figure4_data, save_svg
    from eos.storage.files import write_table

    datasets = (dataset,) if dataset else parameters().axes.datasets
    networks = shown_networks(parameters(), dataset, parameters().figures.figure4.networks)
    gaps = read_results("gaps", parameters(), datasets)
    cells = datasets or ("images",), networks  # an empty panel where there are sets of embeddings alone
    save_svg(figure4(gaps, *cells), PLOTS / dataset / "figure4.svg")
    write_table(METRICS / "figures" / dataset / "figure4.csv", figure4_data(gaps, *cells))


if __name__ == "__main__":
    run(main, embeddings=True)
