"""Phase 2, balance a network's embeddings, once per head: DATASET CUT [NETWORK] -> data/oversampled/..."""

import time
from typing import Any

from eos.pipeline.command import digest, parameters, run


def main(dataset: str, cut: int, network: str = "") -> dict[str, Any]:
    """Balance the embeddings of a network, or of all that the dataset has."""
    from eos.config.cells import networks_of

    names = [network] if network else networks_of(parameters(), dataset)
    measured = {name: balance(dataset, cut, name) for name in names}
    return measured[network] if network else {"networks": measured}


def balance(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write each head's synthetic rows, all labels and the gap after it; and what is to be noted."""
    import imblearn.over_sampling  # noqa: F401  (a sampler imports it when first used: not on its clock)
    import sklearn.svm  # noqa: F401

    from eos.config.cells import heads_of, neighbors, sampler_of
    from eos.errors import placed
    from eos.metrics.gap import generalization_gap
    from eos.pipeline.paths import PARAMETERS, embeddings_file, oversampled_folder
    from eos.samplers.neighbors import ExactNeighbors, SharedLists
    from eos.samplers.oversampling import oversample, untouched
    from eos.storage.files import write_arrays, write_json
    from eos.storage.layouts import EMBEDDINGS, read_stored

    path = embeddings_file(dataset, cut, network)
    data = read_stored(path, EMBEDDINGS, "train_features", "train_labels", "test_features", "test_labels")
    folder = oversampled_folder(dataset, cut, network)
    notes, measured = {}, {}
    definitions = {head: parameters().heads[head] for head in heads_of(parameters(), dataset, network)}
    heads = [head for head in definitions if sampler_of(parameters(), head) not in ("own", None)]
    # One search, for the most neighbors that a head of EOS asks for, serves all of them. In the seconds it
    # is part of the first such head.
    sizes = {head: k for head in heads if isinstance(k := neighbors(parameters(), head), int)}
    shared = SharedLists(1 + max(sizes.values(), default=0))
    for number, head in enumerate(heads, start=1):
        start = time.perf_counter()
        settings = definitions[head].model_dump()
        sampler = settings.pop("sampler")
        if head in sizes:
            settings["k_neighbors"] = ExactNeighbors(sizes[head] + 1, shared=shared)
        rows, seed = (data["train_features"], data["train_labels"]), parameters().oversampling.random_state
        with placed(f"{PARAMETERS}: heads.{head}, on {path}"):
            balanced = (
                untouched(*rows)
                if sampler == "none"
                else oversample(sampler, *rows, random_state=seed, **settings)
            )
        seconds = time.perf_counter() - start
        features = balanced.rows(data["train_features"])
        gap = generalization_gap(features, balanced.labels, data["test_features"], data["test_labels"])
        # The real rows are in the embeddings already; only the synthetic and the moved ones are stored.
        arrays = {
            "synthetic": balanced.features,
            "labels": balanced.labels,
            "moved": balanced.moved,
            "moved_features": balanced.moved_features,
            "gap": gap,
        }
        write_arrays(folder / f"{head}.npz", arrays)
        measured[head] = {"seconds": seconds, "made": digest(folder / f"{head}.npz")}
        notes[head] = list(balanced.notes)
        print(f"head {number}/{len(heads)} {head}: {len(balanced.features)} synthetic rows", flush=True)
    write_json(folder / "notes.json", notes)
    # The heads that need no rows of a sampler: by these lines `retrain` knows when one has changed.
    classifiers = {head: one.model_dump() for head, one in definitions.items() if hasattr(one, "classifier")}
    seed = parameters().oversampling.random_state
    write_json(folder / "classifiers.json", {"heads": classifiers, "random_state": seed})
    return {"heads": measured}


if __name__ == "__main__":
    run(main, embeddings=True)
