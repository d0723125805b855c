"""Reading the tidy results of all cells."""

from collections.abc import Iterable
from itertools import product

import pandas as pd

from eos.config.cells import cuts_of
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.pipeline.paths import balanced_file, results_file
from eos.storage.files import REMAKE, read_table
from eos.storage.layouts import BALANCED, COLUMNS, TEXT


def read_results(kind: str, parameters: Parameters, datasets: Iterable[str]) -> pd.DataFrame:
    """Read the tidy results of every cut of the datasets (a folder may hold others) as one table.

    Raises
    ------
    InputError
        If a file is missing or damaged, lacks a column or has text where numbers belong.
    """
    tables = []
    cells = [(dataset, cut) for dataset in datasets for cut in cuts_of(parameters, dataset)]
    for dataset, cut in cells:
        path = results_file(kind, dataset, cut)
        table = read_table(path, COLUMNS[kind], text=TEXT)
        if len(table) == 0 and kind in {"scores", "classes"}:
            raise InputError(f"{path}: holds no rows; {REMAKE}")
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS[kind])


def read_balanced(parameters: Parameters) -> pd.DataFrame:
    """Read the scores of all networks that were trained on balanced images, under the rule of `selection`.

    Raises
    ------
    InputError
        As `read_results`, or if a file has no scores under that rule.
    """
    axes = parameters.axes
    arms = [("augmented", axes.pixel_samplers), ("generated", axes.generators)]
    tables = []
    for kind, samplers in arms:
        for dataset, cut, sampler in product(axes.datasets, axes.cuts, samplers):
            path = balanced_file(kind, dataset, cut, sampler)
            table = read_table(path, BALANCED, text=TEXT)
            table = table[table["selection"] == parameters.selection]
            if table.empty:
                raise InputError(
                    f"{path}: holds no scores under selection {parameters.selection!r}; {REMAKE}"
                )
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=BALANCED)
