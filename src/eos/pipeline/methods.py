"""Reading what the comparison of all methods needs."""

import numpy as np

from eos.config.cells import cuts_of, head_title
from eos.config.schema import Parameters
from eos.pipeline.paths import predictions_file
from eos.pipeline.results import read_results
from eos.report.methods import Cell, Comparison, compare
from eos.storage.files import read_arrays


def read_comparison(parameters: Parameters) -> Comparison:
    """Compare the heads that `tables.methods` lists, on every network of every data set on the axes.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    datasets = (*parameters.axes.datasets, *parameters.axes.embeddings)
    predictions: dict[str, dict[Cell, tuple[np.ndarray, np.ndarray]]] = {"test": {}, "held_out": {}}
    for dataset in datasets:
        for cut in cuts_of(parameters, dataset):
            arrays = read_arrays(predictions_file(dataset, cut))
            labels = {part: arrays.pop(f"{part}/labels") for part in predictions}
            for name, predicted in arrays.items():
                part, network, head = name.split("/")
                if predicted.size and predicted.min() >= 0:
                    predictions[part][dataset, cut, network, head] = labels[part], predicted
    return compare(
        read_results("scores", parameters, datasets),
        read_results("chosen", parameters, datasets),
        predictions["test"],
        {head: head_title(parameters, head) for head in parameters.tables.methods.heads},
        held_out=predictions["held_out"],
    )
