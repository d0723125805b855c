"""Draw the comparison of all methods: -> plots/methods.svg, metrics/figures/methods.csv."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write the figure as SVG, and the numbers it shows as CSV."""
    from eos.pipeline.methods import read_comparison
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.report.figures import methods_data, methods_figure, save_svg
    from eos.storage.files import write_table

    comparison = read_comparison(parameters())
    save_svg(methods_figure(comparison), PLOTS / "methods.svg")
    write_table(METRICS / "figures" / "methods.csv", methods_data(comparison))


if __name__ == "__main__":
    run(main)
