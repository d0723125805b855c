"""Score every head of every network: DATASET CUT -> metrics/<kind>/<cell>.csv."""

import numpy as np
import pandas as pd

import common
from columns import COLUMNS, SCORED
from eos.config.schema import Parameters
from eos.errors import InputError
from eos.metrics.gap import net_gap
from eos.metrics.scores import confusion, recalls, score, weight_norms
from eos.storage.files import REMAKE, Arrays, read_json, write_table
from eos.storage.layouts import EMBEDDINGS, GAP, HEAD, IMAGES, OVERSAMPLED, SPLIT, read_stored


def main(dataset: str, cut: int) -> None:
    """Write tidy tables, a row per observation: see `COLUMNS`."""
    parameters = common.parameters()
    names = read_stored(common.images_file(dataset), IMAGES, "class_names")["class_names"]
    counts = read_stored(common.split_file(dataset, cut), SPLIT, "class_counts")["class_counts"]
    by_name = {"class": np.arange(len(names)), "class_name": names, "train_count": counts}
    tables: dict[str, list[pd.DataFrame]] = {kind: [] for kind in SCORED}
    for network in parameters.axes.networks:
        embeddings = read_stored(common.embeddings_file(dataset, cut, network), EMBEDDINGS)
        notes = read_json(common.oversampled_folder(dataset, cut, network) / "notes.json")
        gaps = read_stored(common.gap_file(dataset, cut, network), GAP)
        by_outcome = {"dataset": dataset, "cut": cut, "network": network, **by_name, **gaps}
        tables["gaps"].append(pd.DataFrame(by_outcome, columns=COLUMNS["gaps"]))
        for head in parameters.networks[network].heads:
            cell = {"dataset": dataset, "cut": cut, "network": network, "head": head}
            seeds, fitted = read_head(parameters, dataset, cut, network, head=head, embeddings=embeddings)
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
                "curves": dict(curves(fitted)) if "loss" in fitted else {"epoch": []},
                "notes": {"note": notes.get(head, [])},
            }
            for kind, content in columns.items():
                tables[kind].append(pd.DataFrame(cell | content, columns=COLUMNS[kind]))
    for kind, parts in tables.items():
        filled = [part for part in parts if len(part)]
        table = pd.concat(filled) if filled else pd.DataFrame(columns=COLUMNS[kind])
        write_table(common.results_file(kind, dataset, cut), table)


def read_head(
    parameters: Parameters, dataset: str, cut: int, network: str, *, head: str, embeddings: Arrays
) -> tuple[tuple[int, ...], Arrays]:
    """Return a head's seeds; its weights, test logits and curves by seed; and the gap it was fitted on."""
    sampler = parameters.heads[head].sampler
    if sampler in {"own", "none"}:
        gap = read_stored(common.gap_file(dataset, cut, network), GAP, "gap")
    else:
        gap = read_stored(
            common.oversampled_folder(dataset, cut, network) / f"{head}.npz", OVERSAMPLED, "gap"
        )
    if sampler == "own":
        one = {name: embeddings[name][np.newaxis] for name in ("weight", "test_logits", "epoch")}
        return (0,), one | gap
    path = common.heads_folder(dataset, cut, network) / f"{head}.npz"
    fitted, seeds = read_stored(path, HEAD), parameters.head_training.seeds
    if len(fitted["weight"]) != len(seeds):
        raise InputError(f"{path}: holds {len(fitted['weight'])} seeds, not {len(seeds)}; {REMAKE}")
    return seeds, fitted | gap


def curves(fitted: Arrays) -> Arrays:
    """Return a head's learning curves: the mean over its seeds, and the deviation where there are several."""
    n_seeds, epochs = fitted["loss"].shape
    columns = {"epoch": np.arange(1, epochs + 1), "loss": fitted["loss"].mean(axis=0)}
    for name in ("train_BAC", "test_BAC"):
        columns[name] = fitted[name].mean(axis=0)
        columns[f"{name}_sd"] = fitted[name].std(axis=0, ddof=1) if n_seeds > 1 else np.full(epochs, np.nan)
    return columns


if __name__ == "__main__":
    common.run(main)
