"""Which rows Figure 6 shows: two classes of a dataset, on the embeddings of its first cut."""

from pathlib import Path

import numpy as np
import pandas as pd

from eos.config.cells import cuts_of, heads_of, networks_of, shown_network
from eos.config.schema import Parameters
from eos.errors import placed, unknown_name
from eos.pipeline import paths
from eos.pipeline.classes import class_names
from eos.report.tsne import FEWEST, Rows, project_classes
from eos.storage.files import read_json
from eos.storage.layouts import EMBEDDINGS, OVERSAMPLED, read_stored


def project_heads(parameters: Parameters, dataset: str) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Return the points of every head, without rows where there is nothing to show, and the two classes.

    Raises
    ------
    InputError
        If a file is missing or damaged, or a class is none of the dataset's.
    """
    settings, cut = parameters.figures.figure6, cuts_of(parameters, dataset)[0]
    network = shown_network(parameters, dataset, settings.network)
    names = class_names(parameters, dataset, cut).tolist()
    heads: dict[str, Rows] = {}
    classes = 0, 1
    if network in networks_of(parameters, dataset):  # else no panel has anything to show
        path = paths.embeddings_file(dataset, cut, network)
        real = read_stored(path, EMBEDDINGS, "train_features", "train_labels")
        features, labels = real["train_features"], real["train_labels"]
        folder = paths.oversampled_folder(dataset, cut, network)
        classes = _chosen_classes(parameters, dataset, names, labels)
        shown = sum(min(int((labels == label).sum()), settings.points) for label in classes)
        if shown < FEWEST:
            print(f"classes {classes} have {shown} images in all: too few for a t-SNE", flush=True)
        for head in settings.heads if shown >= FEWEST else ():
            if head in heads_of(parameters, dataset, network):
                heads[head] = _rows_of(folder, head, features, labels)
    pair = names[classes[0]], names[classes[1]]
    seed = parameters.oversampling.random_state
    with placed(f"{paths.PARAMETERS}: figures.figure6 on {dataset}"):
        return project_classes(heads, classes, pair, points=settings.points, seed=seed), pair


def _chosen_classes(
    parameters: Parameters, dataset: str, names: list[str], labels: np.ndarray
) -> tuple[int, int]:
    """Return the two classes to show, the larger first."""
    counts = np.bincount(labels, minlength=len(names))
    wanted = parameters.figures.figure6.classes.get(dataset)
    if wanted is None:
        by_size = counts.argsort(kind="stable")
        return int(by_size[-1]), int(by_size[0])
    for name in wanted:
        if name not in names:
            place = f"{paths.PARAMETERS}: figures.figure6.classes.{dataset}"
            raise unknown_name(name, names, what="class", place=place)
    one, other = sorted((names.index(name) for name in wanted), key=lambda label: -counts[label])
    return one, other


def _rows_of(folder: Path, head: str, features: np.ndarray, labels: np.ndarray) -> Rows:
    """Return the rows that a head was trained on, real ones first; the network's own has no others."""
    if head not in read_json(folder / "notes.json"):
        return Rows(features, labels, np.zeros(len(labels), dtype=bool))
    added = read_stored(folder / f"{head}.npz", OVERSAMPLED, "synthetic", "labels")
    every = np.concatenate([features, added["synthetic"]])
    return Rows(every, added["labels"], np.arange(len(every)) >= len(features))
