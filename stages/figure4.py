"""Draw the gaps of true and of false positives: [SET OF EMBEDDINGS] -> plots/, metrics/figures/."""

from eos.pipeline.command import parameters, run


def main(dataset: str = "") -> None:
    """Write the figure as SVG, and the numbers it shows as CSV: of all datasets of images, or of one set."""
    from eos.config.cells import shown_networks
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report.charts import cuts_text, figure4, figure4_data, save_svg
    from eos.storage.files import write_table

    datasets = (dataset,) if dataset else parameters().axes.datasets
    networks = shown_networks(parameters(), dataset, parameters().figures.figure4.networks)
    gaps = read_results("gaps", parameters(), datasets)
    data = figure4_data(gaps, datasets, networks)
    subtitle = "; ".join(cuts_text(gaps, name) for name in datasets)
    save_svg(figure4(data, subtitle), PLOTS / dataset / "figure4.svg")
    write_table(METRICS / "figures" / dataset / "figure4.csv", data)


if __name__ == "__main__":
    run(main, embeddings=True)
