"""Draw the gaps of true and false positives of all datasets: -> plots/, metrics/figures/."""

from eos.pipeline.command import parameters, run


def main() -> None:
    """Write the figure as SVG, and the numbers it shows as CSV."""
    from eos.config.cells import networks_shown
    from eos.pipeline.paths import METRICS, PLOTS
    from eos.pipeline.results import read_results
    from eos.report.figures import figure4, figure4_data, save_svg
    from eos.storage.files import write_table

    gaps = read_results("gaps", parameters())
    networks = networks_shown(parameters(), parameters().figures.figure4.networks, gaps["network"])
    cells = gaps["dataset"].unique().tolist(), networks
    save_svg(figure4(gaps, *cells), PLOTS / "figure4.svg")
    write_table(METRICS / "figures" / "figure4.csv", figure4_data(gaps, *cells))


if __name__ == "__main__":
    run(main)
