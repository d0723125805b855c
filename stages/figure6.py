"""Draw two classes of a dataset by t-SNE: DATASET -> plots/<dataset>/, metrics/figures/<dataset>/."""

import numpy as np
import pandas as pd

import common
from eos.config.schema import Parameters
from eos.errors import placed, unknown_name
from eos.report.figures import figure6, figure6_data, save_svg
from eos.report.tsne import FEWEST, Rows
from eos.storage.files import write_table
from eos.storage.layouts import EMBEDDINGS, IMAGES, OVERSAMPLED, read_stored

COLUMNS = ["head", "class_name", "synthetic", "available", "x", "y"]


def main(dataset: str) -> None:
    """Write the figure as SVG, and the points it shows as CSV; both of the first cut."""
    parameters = common.parameters()
    settings, cut = parameters.figures.figure6, parameters.axes.cuts[0]
    names = read_stored(common.images_file(dataset), IMAGES, "class_names")["class_names"].tolist()
    heads: dict[str, Rows] = {}
    classes, data = (0, 1), pd.DataFrame(columns=COLUMNS)
    if settings.network in parameters.axes.networks:  # else no panel has anything to show
        path = common.embeddings_file(dataset, cut, settings.network)
        real = read_stored(path, EMBEDDINGS, "train_features", "train_labels")
        classes = chosen_classes(parameters, dataset, names, real["train_labels"])
        shown = sum(min(int((real["train_labels"] == label).sum()), settings.points) for label in classes)
        if shown < FEWEST:
            print(
                f"classes {classes[0]} and {classes[1]} have {shown} images: too few for a t-SNE", flush=True
            )
        for head in settings.heads if shown >= FEWEST else ():
            if head in parameters.networks[settings.network].heads:
                heads[head] = rows_of(parameters, dataset, head, real["train_features"], real["train_labels"])
        with placed(f"{common.PARAMETERS}: figures.figure6 on {dataset}"):
            data = figure6_data(
                heads,
                classes,
                (names[classes[0]], names[classes[1]]),
                points=settings.points,
                seed=parameters.oversampling.random_state,
            )
    figure = figure6(
        data,
        settings.heads,
        (names[classes[0]], names[classes[1]]),
        dataset=dataset,
        network=settings.network,
        cut=cut,
    )
    save_svg(figure, common.PLOTS / dataset / "figure6.svg")
    write_table(common.METRICS / "figures" / dataset / "figure6.csv", data)


def chosen_classes(
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
            place = f"{common.PARAMETERS}: figures.figure6.classes.{dataset}"
            raise unknown_name(name, names, what="class", place=place)
    one, other = sorted((names.index(name) for name in wanted), key=lambda label: -counts[label])
    return one, other


def rows_of(
    parameters: Parameters, dataset: str, head: str, features: np.ndarray, labels: np.ndarray
) -> Rows:
    """Return the rows that a head was trained on, real ones first."""
    if parameters.heads[head].sampler in {"own", "none"}:
        return Rows(features, labels, np.zeros(len(labels), dtype=bool))
    cut = parameters.axes.cuts[0]
    folder = common.oversampled_folder(dataset, cut, parameters.figures.figure6.network)
    added = read_stored(folder / f"{head}.npz", OVERSAMPLED, "synthetic", "labels")
    every = np.concatenate([features, added["synthetic"]])
    return Rows(every, added["labels"], np.arange(len(every)) >= len(features))


if __name__ == "__main__":
    common.run(main)
