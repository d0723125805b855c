"""Which rows Figure 6 shows: two classes of a dataset, on the embeddings of its first cut."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from eos.config.cells import shown_network
from eos.config.schema import Parameters
from eos.errors import placed, unknown_name
from eos.pipeline import paths
from eos.report.tsne import FEWEST, Rows, project_classes
from eos.storage.files import read_json
from eos.storage.layouts import EMBEDDINGS, OVERSAMPLED, all_rows, read_stored


class Projected(NamedTuple):
    """The points of every head, without rows where there is nothing to show, and what they are of."""

    points: pd.DataFrame
    network: str
    cut: int
    class_names: tuple[str, str]  # the larger first


def project_heads(parameters: Parameters, dataset: str, classes: pd.DataFrame) -> Projected:
    """Project two classes of a dataset; `classes`, its results by class, say which cells were run.

    Raises
    ------
    InputError
        If a file is missing or damaged, or a class is none of the dataset's.
    """
    settings, results = parameters.figures.figure6, classes[classes["dataset"] == dataset]
    cut, network = int(results["cut"].iloc[0]), shown_network(parameters, dataset, settings.network)
    held = set(results.loc[results["network"] == network, "head"])
    pair = _chosen_classes(parameters, dataset, results)
    numbers, names = pair.index.tolist(), (str(pair.iloc[0]), str(pair.iloc[1]))
    heads: dict[str, Rows] = {}
    if held:  # else no panel has anything to show
        path = paths.embeddings_file(dataset, cut, network)
        real = read_stored(path, EMBEDDINGS, "train_features", "train_labels")
        features, labels = real["train_features"], real["train_labels"]
        folder = paths.oversampled_folder(dataset, cut, network)
        shown = sum(min(int((labels == label).sum()), settings.points) for label in numbers)
        if shown < FEWEST:
            print(f"classes {', '.join(names)} have {shown} images in all: too few for a t-SNE", flush=True)
        for head in settings.heads if shown >= FEWEST else ():
            if head in held:
                heads[head] = _rows_of(folder, head, features, labels)
    seed = parameters.oversampling.random_state
    with placed(f"{paths.PARAMETERS}: figures.figure6 on {dataset}"):
        points = project_classes(heads, numbers, names, points=settings.points, seed=seed)
    return Projected(points, network, cut, names)


def _chosen_classes(parameters: Parameters, dataset: str, results: pd.DataFrame) -> "pd.Series[str]":
    """Return the names of the two classes to show by their numbers, the larger first."""
    known = results.drop_duplicates("class").sort_values("train_count", ascending=False, kind="stable")
    names = known.set_index("class")["class_name"]
    wanted = parameters.figures.figure6.classes.get(dataset, (names.iloc[0], names.iloc[-1]))
    for name in wanted:
        if name not in set(names):
            place = f"{paths.PARAMETERS}: figures.figure6.classes.{dataset}"
            raise unknown_name(name, names.tolist(), what="class", place=place)
    return names[names.isin(wanted)]


def _rows_of(folder: Path, head: str, features: np.ndarray, labels: np.ndarray) -> Rows:
    """Return the rows that a head was trained on, real ones first; the network's own has no others."""
    if head not in read_json(folder / "notes.json"):
        return Rows(features, labels, np.zeros(len(labels), dtype=bool))
    added = read_stored(folder / f"{head}.npz", OVERSAMPLED)
    every = all_rows(features, added)
    return Rows(every, added["labels"], np.arange(len(every)) >= len(features))
