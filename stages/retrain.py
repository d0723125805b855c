"""Phase 3, fit the heads on the balanced embeddings: DATASET CUT [NETWORK] -> models/heads/..."""

import time
from typing import Any

from eos.pipeline.command import digest, parameters, run


def main(dataset: str, cut: int, network: str = "") -> dict[str, Any]:
    """Fit the heads of a network, or of all that the dataset has."""
    from eos.config.cells import networks_of

    names = [network] if network else networks_of(parameters(), dataset)
    measured = {name: fit_heads(dataset, cut, name) for name in names}
    return measured[network] if network else {"networks": measured}


def fit_heads(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write each head's weights, test logits and learning curves, all seeds stacked; and what was chosen."""
    import numpy as np

    from eos.config.cells import heads_of, is_classifier
    from eos.errors import placed
    from eos.heads.retraining import retrain
    from eos.heads.softmax import HeadConfig
    from eos.pipeline.paths import PARAMETERS, embeddings_file, heads_folder, oversampled_folder
    from eos.pipeline.rivals import fit_classifier, is_absent
    from eos.storage.files import read_json, write_arrays, write_json
    from eos.storage.layouts import EMBEDDINGS, OVERSAMPLED, all_rows, read_stored

    settings = parameters().head_training
    config = HeadConfig(**settings.model_dump(exclude={"curve_epochs", "seeds"}))
    data = read_stored(embeddings_file(dataset, cut, network), EMBEDDINGS)
    folder = heads_folder(dataset, cut, network)
    folder.mkdir(parents=True, exist_ok=True)  # a network may have no head but its own
    balanced_folder = oversampled_folder(dataset, cut, network)
    heads = list(read_json(balanced_folder / "notes.json"))
    measured, told = {}, {}
    for number, head in enumerate(heads, start=1):
        start = time.perf_counter()
        balanced = read_stored(balanced_folder / f"{head}.npz", OVERSAMPLED)
        features = all_rows(data["train_features"], balanced)
        labels = balanced["labels"]
        # Beyond the epochs that the head is taken from only for Figure 7, which is of few heads.
        shown = head in parameters().figures.figure7.heads
        epochs = settings.curve_epochs if shown else settings.epochs
        with placed(f"{PARAMETERS}: head_training, head {head} of {network}"):
            runs = [
                retrain(
                    (features, labels),
                    (data["test_features"], data["test_labels"]),
                    (data["validation_features"], data["validation_labels"]),
                    n_classes=len(balanced["gap"]),
                    config=config,
                    curve_epochs=epochs,
                    rule=parameters().selection,
                    seed=seed,
                )
                for seed in settings.seeds
            ]
        seconds = (time.perf_counter() - start) / len(runs)
        stacked = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
        stacked |= {"seeds": np.array(settings.seeds), "center": np.empty(0, dtype=np.float32)}
        write_arrays(folder / f"{head}.npz", stacked)
        measured[head] = {
            "seconds": seconds,
            "epochs": epochs,
            "rows": len(labels),
            "parameters": runs[0]["weight"].size + runs[0]["bias"].size,
            "made": digest(folder / f"{head}.npz"),
        }
        print(f"head {number}/{len(heads)} {head}: {len(runs)} seeds on {len(labels)} rows", flush=True)
    classifiers = [
        head
        for head in heads_of(parameters(), dataset, network)
        if is_classifier(parameters(), head) and not is_absent(parameters(), head, data)
    ]
    for number, head in enumerate(classifiers, start=1):
        start = time.perf_counter()
        with placed(f"{PARAMETERS}: heads.{head}, on {network} of {dataset}"):
            stacked, told[head] = fit_classifier(parameters(), dataset, network, head, data)
        write_arrays(folder / f"{head}.npz", stacked)
        measured[head] = {
            "seconds": (time.perf_counter() - start) / len(stacked["seeds"]),
            "epochs": 0,
            "rows": len(data["train_labels"]),
            "parameters": stacked["weight"][0].size + stacked["bias"][0].size,
            "made": digest(folder / f"{head}.npz"),
        }
        values = "".join(f", {name} = {one['value']}" for name, one in told[head]["chosen"].items())
        print(f"classifier {number}/{len(classifiers)} {head}{values}", flush=True)
    write_json(folder / "classifiers.json", told)
    return {"heads": measured}


if __name__ == "__main__":
    run(main, embeddings=True)
