"""Reading what the comparison of all methods needs."""

import numpy as np

from eos.config.cells import cuts_of, head_title
from eos.config.schema import Parameters
from eos.pipeline.paths import predictions_file
from eos.pipeline.results import read_results
from eos.report.methods import Comparison, compare
from eos.storage.files import read_arrays


def read_comparison(parameters: Parameters) -> Comparison:
    """Compare the heads that `tables.methods` lists, on every network of every data set on the axes.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    datasets = (*parameters.axes.datasets, *parameters.axes.embeddings)
    predictions: dict[tuple[str, int, str, str], tuple[np.ndarray, np.ndarray]] = {}
    for dataset in datasets:
        for cut in cuts_of(parameters, dataset):
            arrays = read_arrays(predictions_file(dataset, cut))
            labels = arrays.pop("labels")
            for name, predicted in arrays.items():
                network, head = name.split(".")
                predictions[dataset, cut, network, head] = labels, predicted
    return compare(
        read_results("scores", parameters, datasets),
        read_results("chosen", parameters, datasets),
        predictions,
        {head: head_title(parameters, head) for head in parameters.tables.methods.heads},
    )
