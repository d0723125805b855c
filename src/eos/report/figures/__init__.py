"""Figures 3 to 7 of the paper, and four more, from tidy results, drawn without any global plotting state.

Every figure has a `…_data` function that returns the tidy numbers behind the picture. `networks` and `heads`
are what to show, in this order, and `heads` what the legend calls them; what a dataset has no results of is
left out. At its foot a figure says what a person reads off it.
"""

from eos.report.figures.classes import (
    figure3,
    figure3_data,
    figure5,
    figure5_data,
    recall_data,
    recall_figure,
)
from eos.report.figures.confusion import confusion_data, confusion_figure
from eos.report.figures.curves import figure7, figure7_data
from eos.report.figures.methods import methods_data, methods_figure
from eos.report.figures.outcomes import figure4, figure4_data
from eos.report.figures.projection import figure6
from eos.report.figures.settings import settings_data, settings_figure
from eos.report.figures.style import save_svg
from eos.report.tsne import project_classes as figure6_data

__all__ = [
    "confusion_data", "confusion_figure", "figure3", "figure3_data", "figure4", "figure4_data", "figure5",
    "figure5_data", "figure6", "figure6_data", "figure7", "figure7_data", "methods_data", "methods_figure",
    "recall_data", "recall_figure", "save_svg", "settings_data", "settings_figure",
]  # fmt: skip
