"""Figures 3 to 7 of the paper from tidy results, drawn without any global plotting state.

Every figure has a `…_data` function that returns the tidy numbers behind the picture.
"""

from eos.report.figures.classes import figure3, figure3_data, figure5, figure5_data
from eos.report.figures.curves import figure7, figure7_data
from eos.report.figures.outcomes import figure4, figure4_data
from eos.report.figures.projection import figure6
from eos.report.figures.style import save_svg
from eos.report.tsne import project_classes as figure6_data

__all__ = [
    "figure3", "figure3_data", "figure4", "figure4_data", "figure5", "figure5_data", "figure6",
    "figure6_data", "figure7", "figure7_data", "save_svg",
]  # fmt: skip
