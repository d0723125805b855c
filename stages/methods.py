"""Draw the comparison of all methods: -> plots/methods.svg, metrics/figures/methods.csv."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write the figure as SVG, and the numbers it shows as CSV."""
    from eos.pipeline.methods import read_comparison
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.report.charts import methods_chart, methods_data, save_svg
    from eos.report.methods import block_ranks
    from eos.storage.files import write_table

    comparison = read_comparison(parameters())
    data = methods_data(comparison)
    save_svg(methods_chart(data, comparison.titles, block_ranks(comparison)), PLOTS / "methods.svg")
    write_table(METRICS / "figures" / "methods.csv", data)


if __name__ == "__main__":
    run(main)
