"""The tidy results of all cells, which tables and figures arrange."""

import pandas as pd

import common
from eos.files import read_table
from eos.parameters import Parameters


def read_results(kind: str, parameters: Parameters) -> pd.DataFrame:
    """Read the tidy results of every dataset and cut on the axes (a folder may hold others) as one table."""
    axes = parameters.axes
    cells = [(dataset, cut) for dataset in axes.datasets for cut in axes.cuts]
    tables = [read_table(common.results_file(kind, dataset, cut)) for dataset, cut in cells]
    return pd.concat(tables, ignore_index=True)
