"""Draw the gaps of true and false positives of all datasets: -> plots/, metrics/figures/."""

import common
from eos.report.figures import figure4, figure4_data, save_svg
from eos.storage.files import write_table
from results import read_results


def main() -> None:
    """Write the figure as SVG, and the numbers it shows as CSV."""
    parameters = common.parameters()
    gaps = read_results("gaps", parameters)
    cells = parameters.axes.datasets, parameters.figures.figure4.networks
    save_svg(figure4(gaps, *cells), common.PLOTS / "figure4.svg")
    write_table(common.METRICS / "figures" / "figure4.csv", figure4_data(gaps, *cells))


if __name__ == "__main__":
    common.run(main)
