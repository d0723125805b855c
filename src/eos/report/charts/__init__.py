"""Figures 3 to 7 of the paper, and four more, from tidy results, each defined once, as Vega-Lite.

Every figure has a `…_data` function that returns the tidy numbers behind the picture, and a function that
makes a `Chart` of them: of one data set for the repository (`save_svg`), of several for a page
(`interactive`). `heads` are what the legend calls them, in its order; what a dataset has no results of is
left out. The caption says what a person reads off it.
"""

from eos.report.charts.chart import Chart, interactive, save_svg, static
from eos.report.charts.classes import (
    figure3,
    figure3_data,
    figure5,
    figure5_data,
    recall_chart,
    recall_data,
)
from eos.report.charts.committed import charts
from eos.report.charts.confusion import confusion_chart, confusion_data
from eos.report.charts.curves import figure7, figure7_data
from eos.report.charts.looks import cuts_text
from eos.report.charts.methods import methods_chart, methods_data
from eos.report.charts.outcomes import figure4, figure4_data
from eos.report.charts.projection import figure6
from eos.report.charts.settings import settings_chart, settings_data
from eos.report.tsne import project_classes as figure6_data

__all__ = [
    "Chart", "charts", "confusion_chart", "confusion_data", "cuts_text", "figure3", "figure3_data", "figure4",
    "figure4_data", "figure5", "figure5_data", "figure6", "figure6_data", "figure7", "figure7_data",
    "interactive", "methods_chart", "methods_data", "recall_chart", "recall_data", "save_svg",
    "settings_chart", "settings_data", "static",
]  # fmt: skip
