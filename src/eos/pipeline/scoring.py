"""The tidy results of a dataset and cut: every head of every network, scored."""

import numpy as np
import pandas as pd
from scipy.special import softmax

from eos.config.cells import heads_of, is_classifier, logit_scale, networks_of, sampler_of
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.metrics.calibration import calibration
from eos.metrics.gap import net_gap
from eos.metrics.scores import balanced_accuracy, confusion, recalls, score, weight_norms
from eos.pipeline import paths
from eos.pipeline.classes import class_counts, class_names
from eos.storage.files import REMAKE, Arrays, read_json, require_file
from eos.storage.layouts import (
    COLUMNS,
    EMBEDDINGS,
    GAP,
    HEAD,
    HISTORIES,
    LOGGED,
    OVERSAMPLED,
    SCORES,
    read_stored,
)

# Of the network's own classifier on embeddings that were made elsewhere.
GIVEN, ABSENT = "the classifier that came with the embeddings", "the file of the embeddings has no classifier"


def score_heads(
    parameters: Parameters, dataset: str, cut: int
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Score every head of a dataset and cut.

    Returns
    -------
    tables
        The tidy tables, a row per observation, by kind: see `eos.storage.layouts.COLUMNS`.
    predictions
        `test/labels` (n_test,), and as `test/<network>/<head>` what each run of a head predicts of them,
        (runs, n_test). With `held_out` in place of `test` the same of the held-out rows.

    Raises
    ------
    InputError
        If a file is missing or damaged, or holds other seeds than the parameters ask for.
    """
    names = class_names(parameters, dataset, cut)
    counts = class_counts(parameters, dataset, cut)
    by_name = {"class": np.arange(len(names)), "class_name": names, "train_count": counts}
    tables: dict[str, list[pd.DataFrame]] = {kind: [] for kind in COLUMNS}
    stored: dict[str, np.ndarray] = {}
    for network in networks_of(parameters, dataset):
        embeddings = read_stored(paths.embeddings_file(dataset, cut, network), EMBEDDINGS)
        notes = read_json(paths.oversampled_folder(dataset, cut, network) / "notes.json")
        told = read_json(paths.heads_folder(dataset, cut, network) / "classifiers.json")
        notes |= {head: one["notes"] for head, one in told.items()}
        gaps = read_stored(paths.gap_file(dataset, cut, network), GAP)
        by_outcome = {"dataset": dataset, "cut": cut, "network": network, **by_name, **gaps}
        tables["gaps"].append(pd.DataFrame(by_outcome, columns=COLUMNS["gaps"]))
        has_classifier = embeddings["test_logits"].shape[1] > 0
        scale = logit_scale(parameters, dataset, network)
        stored["test/labels"] = embeddings["test_labels"].astype(np.int32)
        stored["held_out/labels"] = embeddings["validation_labels"].astype(np.int32)
        for head in heads_of(parameters, dataset, network):
            cell = {"dataset": dataset, "cut": cut, "network": network, "head": head}
            own = sampler_of(parameters, head) == "own"
            chosen = told[head]["chosen"] if head in told else {}
            absent = not has_classifier if own else is_classifier(parameters, head) and head not in told
            if absent:  # nothing to score; the gap of the plain embeddings there is
                gap = {**by_name, "gap": gaps["gap"]}
                tables["classes"].append(pd.DataFrame(cell | gap, columns=COLUMNS["classes"]))
                tables["notes"].append(pd.DataFrame(cell | {"note": [ABSENT]}))
                continue
            if dataset in parameters.embeddings and own:
                notes[head] = [GIVEN]
            fitted = _read_head(parameters, dataset, cut, network, head=head, embeddings=embeddings)
            labels, predictions = embeddings["test_labels"], fitted["test_logits"].argmax(axis=2)
            stored[f"test/{network}/{head}"] = predictions.astype(np.int32)
            stored[f"held_out/{network}/{head}"] = fitted["held_out_predicted"].astype(np.int32)
            by_seed = [
                score(labels, run.argmax(axis=1), len(names))
                | calibration(labels, softmax((scale if own else 1.0) * run.astype(np.float64), axis=1))
                for run in fitted["test_logits"]
            ]
            matrices = [confusion(labels, predicted, len(names)) for predicted in predictions]
            total = np.sum(matrices, axis=0)
            true, taken_for = total.nonzero()
            columns: dict[str, dict[str, object]] = {
                "scores": {
                    "seed": fitted["seeds"],
                    "selection": parameters.selection,
                    "epoch": fitted["epoch"],
                    "held_out_BAC": [
                        _held_out_score(embeddings["validation_labels"], run, len(names))
                        for run in fitted["held_out_predicted"]
                    ],
                }
                | {name: [one[name] for one in by_seed] for name in SCORES}
                | {"net_gap": net_gap(fitted["gap"])},
                "classes": {
                    **by_name,
                    "recall": np.mean([recalls(matrix) for matrix in matrices], axis=0),
                    "gap": fitted["gap"],
                    "weight_norm": np.mean([weight_norms(weight) for weight in fitted["weight"]], axis=0),
                },
                "confusion": {"class": true, "predicted": taken_for, "count": total[true, taken_for]},
                "curves": dict(_curves(fitted)) if fitted["loss"].size else {"epoch": []},
                "chosen": {
                    "parameter": list(chosen),
                    "value": [one["value"] for one in chosen.values()],
                    "rule": [one["rule"] for one in chosen.values()],
                },
                "notes": {"note": notes.get(head, [])},
            }
            for kind, content in columns.items():
                tables[kind].append(pd.DataFrame(cell | content, columns=COLUMNS[kind]))
    filled = {kind: [part for part in parts if len(part)] for kind, parts in tables.items()}
    return {
        kind: pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS[kind])
        for kind, parts in filled.items()
    }, stored


def training_histories(parameters: Parameters, dataset: str, cut: int) -> pd.DataFrame:
    """Return the epochs of the trainings of a dataset's networks: see `eos.storage.layouts.HISTORIES`.

    A score that was not taken after an epoch is missing.

    Raises
    ------
    InputError
        If a network has no history.
    """
    tables = []
    for network in networks_of(parameters, dataset):
        folder = paths.network_folder(dataset, cut, network) / "history" / "plots" / "metrics"
        require_file(folder / "loss.tsv")  # written after every epoch, as no other needs to be
        columns = [
            pd.read_csv(path, sep="\t", index_col="step")[name]
            for name in LOGGED
            if (path := folder / f"{name}.tsv").is_file()
        ]
        cell = {"dataset": dataset, "cut": cut, "network": network}
        tables.append(pd.concat(columns, axis=1).rename_axis("epoch").reset_index().assign(**cell))
    return pd.concat(tables).reindex(columns=HISTORIES)


def _read_head(
    parameters: Parameters, dataset: str, cut: int, network: str, *, head: str, embeddings: Arrays
) -> Arrays:
    """Return what `HEAD` has, and the gap of the rows that the head was fitted on."""
    sampler = sampler_of(parameters, head)
    plain = read_stored(paths.gap_file(dataset, cut, network), GAP, "gap")
    if sampler == "own":
        one = {name: embeddings[name][np.newaxis] for name in ("weight", "test_logits", "epoch")}
        one["held_out_predicted"] = _own_held_out(embeddings["validation_logits"])
        return {"seeds": np.array([0]), "loss": np.empty((1, 0)), **one, **plain}
    path = paths.heads_folder(dataset, cut, network) / f"{head}.npz"
    fitted, seeds = read_stored(path, HEAD), parameters.head_training.seeds
    expected = {seeds, (0,)} if sampler is None else {seeds}
    if (held := tuple(fitted["seeds"].tolist())) not in expected or len(fitted["weight"]) != len(held):
        raise InputError(f"{path}: holds the seeds {list(held)}, not {list(seeds)}; {REMAKE}")
    if sampler is None:
        return fitted | plain
    folder = paths.oversampled_folder(dataset, cut, network)
    return fitted | read_stored(folder / f"{head}.npz", OVERSAMPLED, "gap")


def _own_held_out(logits: np.ndarray) -> np.ndarray:
    """Return what logits (v, C) of held-out rows predict, (1, v); -1 where they are not known."""
    if not logits.shape[1] or not np.isfinite(logits).all():
        return np.full((1, len(logits)), -1)
    return logits.argmax(axis=1)[np.newaxis]


def _held_out_score(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> float:
    """Return the balanced accuracy of held-out rows; NaN where there are none, or none is known."""
    if not len(labels) or predicted.min() < 0:
        return float("nan")
    return balanced_accuracy(confusion(labels, predicted, n_classes))


def _curves(fitted: Arrays) -> Arrays:
    """Return a head's learning curves: the mean over its seeds, and the deviation where there are several."""
    n_seeds, epochs = fitted["loss"].shape
    columns = {"epoch": np.arange(1, epochs + 1), "loss": fitted["loss"].mean(axis=0)}
    for name in ("train_BAC", "test_BAC"):
        columns[name] = fitted[name].mean(axis=0)
        columns[f"{name}_sd"] = fitted[name].std(axis=0, ddof=1) if n_seeds > 1 else np.full(epochs, np.nan)
    return columns
