"""Draw two classes of a dataset by t-SNE: DATASET -> plots/<dataset>/, metrics/figures/<dataset>/."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write the figure as SVG, and the points it shows as CSV; both of the first cut."""
    from eos.config.cells import cuts_of, shown_network
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.projecting import project_heads
    from eos.report.figures import figure6, save_svg
    from eos.storage.files import write_table

    settings, cut = parameters().figures.figure6, cuts_of(parameters(), dataset)[0]
    network = shown_network(parameters(), dataset, settings.network)
    data, classes = project_heads(parameters(), dataset)
    figure = figure6(data, settings.heads, classes, dataset=dataset, network=network, cut=cut)
    save_svg(figure, PLOTS / dataset / "figure6.svg")
    write_table(METRICS / "figures" / dataset / "figure6.csv", data)


if __name__ == "__main__":
    run(main, embeddings=True)
