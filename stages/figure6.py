"""Draw two classes of a dataset by t-SNE: DATASET -> plots/<dataset>/, metrics/figures/<dataset>/."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write the figure as SVG, and the points it shows as CSV; both of the first cut."""
    from eos.config.cells import head_labels
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.projecting import project_heads
    from eos.pipeline.results import read_results
    from eos.registry import display_name
    from eos.report.charts import figure6, save_svg
    from eos.storage.files import write_table

    results = read_results("classes", parameters(), [dataset])
    data, network, cut, _ = project_heads(parameters(), dataset, results)
    heads = head_labels(parameters(), parameters().figures.figure6.heads)
    cell = f"{display_name(dataset)}, {display_name(network)}, cut {cut}"
    save_svg(figure6(data.assign(dataset=dataset), heads, cell), PLOTS / dataset / "figure6.svg")
    write_table(METRICS / "figures" / dataset / "figure6.csv", data)


if __name__ == "__main__":
    run(main, embeddings=True)
