"""Phase 2, balance a network's embeddings, once per head: DATASET CUT NETWORK -> data/oversampled/..."""

import time
from typing import Any

import imblearn.over_sampling  # noqa: F401  (a sampler imports it when first used: not on its clock)
import numpy as np
import sklearn.svm  # noqa: F401

import common
from eos.errors import placed
from eos.metrics.gap import generalization_gap
from eos.samplers.neighbors import ExactNeighbors, SharedLists
from eos.samplers.oversampling import SAMPLERS, oversample
from eos.storage.files import write_arrays, write_json
from eos.storage.layouts import EMBEDDINGS, read_stored


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write each sampler head's synthetic rows, all labels and the gap after it; and what is to be noted."""
    parameters = common.parameters()
    path = common.embeddings_file(dataset, cut, network)
    data = read_stored(path, EMBEDDINGS, "train_features", "train_labels", "test_features", "test_labels")
    folder = common.oversampled_folder(dataset, cut, network)
    notes, measured = {}, {}
    # `own` and `none` need no sampler.
    heads = [
        head for head in parameters.networks[network].heads if parameters.heads[head].sampler in SAMPLERS
    ]
    # One search, for the most neighbors that a head of EOS asks for, serves all of them. In the seconds it
    # is part of the first such head.
    eos_heads = [head for head in heads if parameters.heads[head].sampler == "eos"]
    shared = SharedLists(1 + max((parameters.heads[head].k_neighbors for head in eos_heads), default=0))
    for number, head in enumerate(heads, start=1):
        start = time.perf_counter()
        definition = parameters.heads[head].model_dump()
        sampler = definition.pop("sampler")
        if head in eos_heads:
            definition["k_neighbors"] = ExactNeighbors(definition["k_neighbors"] + 1, shared=shared)
        with placed(f"{common.PARAMETERS}: heads.{head}, on {path}"):
            balanced = oversample(
                sampler,
                data["train_features"],
                data["train_labels"],
                random_state=parameters.oversampling.random_state,
                **definition,
            )
        seconds = time.perf_counter() - start
        features = np.concatenate([data["train_features"], balanced.features])
        gap = generalization_gap(features, balanced.labels, data["test_features"], data["test_labels"])
        # The real rows are in the embeddings already; only the synthetic ones are stored.
        arrays = {"synthetic": balanced.features, "labels": balanced.labels, "gap": gap}
        write_arrays(folder / f"{head}.npz", arrays)
        measured[head] = {"seconds": seconds, "made": common.digest(folder / f"{head}.npz")}
        notes[head] = list(balanced.notes)
        print(f"head {number}/{len(heads)} {head}: {len(balanced.features)} synthetic rows", flush=True)
    write_json(folder / "notes.json", notes)
    return {"heads": measured}


if __name__ == "__main__":
    common.run(main)
