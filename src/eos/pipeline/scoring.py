"""The tidy results of a dataset and cut: every head of every network, scored."""

import numpy as np
import pandas as pd

from eos.config.cells import heads_of, networks_of
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.metrics.gap import net_gap
from eos.metrics.scores import confusion, recalls, score, weight_norms
from eos.pipeline import paths
from eos.pipeline.classes import class_counts, class_names
from eos.storage.files import REMAKE, Arrays, read_json
from eos.storage.layouts import COLUMNS, EMBEDDINGS, GAP, HEAD, OVERSAMPLED, read_stored

# Of the network's own classifier on embeddings that were made elsewhere.
GIVEN, ABSENT = "the classifier that came with the embeddings", "the file of the embeddings has no classifier"


def score_heads(parameters: Parameters, dataset: str, cut: int) -> dict[str, pd.DataFrame]:
    """Return the tidy tables of a dataset and cut, a row per observation, by kind: see `COLUMNS`.

    Raises
    ------
    InputError
        If a file is missing or damaged, or holds other seeds than the parameters ask for.
    """
    names = class_names(parameters, dataset, cut)
    counts = class_counts(parameters, dataset, cut)
    by_name = {"class": np.arange(len(names)), "class_name": names, "train_count": counts}
    tables: dict[str, list[pd.DataFrame]] = {kind: [] for kind in COLUMNS}
    for network in networks_of(parameters, dataset):
        embeddings = read_stored(paths.embeddings_file(dataset, cut, network), EMBEDDINGS)
        notes = read_json(paths.oversampled_folder(dataset, cut, network) / "notes.json")
        gaps = read_stored(paths.gap_file(dataset, cut, network), GAP)
        by_outcome = {"dataset": dataset, "cut": cut, "network": network, **by_name, **gaps}
        tables["gaps"].append(pd.DataFrame(by_outcome, columns=COLUMNS["gaps"]))
        has_classifier = embeddings["test_logits"].shape[1] > 0
        for head in heads_of(parameters, dataset, network):
            cell = {"dataset": dataset, "cut": cut, "network": network, "head": head}
            if dataset in parameters.embeddings and parameters.heads[head].sampler == "own":
                notes[head] = [GIVEN if has_classifier else ABSENT]
                if not has_classifier:  # and nothing to score; the gap of the plain embeddings there is
                    gap = {**by_name, "gap": gaps["gap"]}
                    tables["classes"].append(pd.DataFrame(cell | gap, columns=COLUMNS["classes"]))
                    tables["notes"].append(pd.DataFrame(cell | {"note": notes[head]}))
                    continue
            seeds, fitted = _read_head(parameters, dataset, cut, network, head=head, embeddings=embeddings)
            labels, predictions = embeddings["test_labels"], fitted["test_logits"].argmax(axis=2)
            by_seed = [score(labels, predicted, len(names)) for predicted in predictions]
            by_class = [recalls(confusion(labels, predicted, len(names))) for predicted in predictions]
            columns: dict[str, dict[str, object]] = {
                "scores": {"seed": seeds, "selection": parameters.selection, "epoch": fitted["epoch"]}
                | {name: [one[name] for one in by_seed] for name in ("BAC", "GM", "FM")}
                | {"net_gap": net_gap(fitted["gap"])},
                "classes": {
                    **by_name,
                    "recall": np.mean(by_class, axis=0),
                    "gap": fitted["gap"],
                    "weight_norm": np.mean([weight_norms(weight) for weight in fitted["weight"]], axis=0),
                },
                "curves": dict(_curves(fitted)) if "loss" in fitted else {"epoch": []},
                "notes": {"note": notes.get(head, [])},
            }
            for kind, content in columns.items():
                tables[kind].append(pd.DataFrame(cell | content, columns=COLUMNS[kind]))
    filled = {kind: [part for part in parts if len(part)] for kind, parts in tables.items()}
    return {
        kind: pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS[kind])
        for kind, parts in filled.items()
    }


def _read_head(
    parameters: Parameters, dataset: str, cut: int, network: str, *, head: str, embeddings: Arrays
) -> tuple[tuple[int, ...], Arrays]:
    """Return a head's seeds; its weights, test logits and curves by seed; and the gap it was fitted on."""
    if parameters.heads[head].sampler == "own":
        one = {name: embeddings[name][np.newaxis] for name in ("weight", "test_logits", "epoch")}
        return (0,), one | read_stored(paths.gap_file(dataset, cut, network), GAP, "gap")
    gap = read_stored(paths.oversampled_folder(dataset, cut, network) / f"{head}.npz", OVERSAMPLED, "gap")
    path = paths.heads_folder(dataset, cut, network) / f"{head}.npz"
    fitted, seeds = read_stored(path, HEAD), parameters.head_training.seeds
    if len(fitted["weight"]) != len(seeds):
        raise InputError(f"{path}: holds {len(fitted['weight'])} seeds, not {len(seeds)}; {REMAKE}")
    return seeds, fitted | gap


def _curves(fitted: Arrays) -> Arrays:
    """Return a head's learning curves: the mean over its seeds, and the deviation where there are several."""
    n_seeds, epochs = fitted["loss"].shape
    columns = {"epoch": np.arange(1, epochs + 1), "loss": fitted["loss"].mean(axis=0)}
    for name in ("train_BAC", "test_BAC"):
        columns[name] = fitted[name].mean(axis=0)
        columns[f"{name}_sd"] = fitted[name].std(axis=0, ddof=1) if n_seeds > 1 else np.full(epochs, np.nan)
    return columns
