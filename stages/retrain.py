"""Phase 3, fit the heads on the balanced embeddings: DATASET CUT NETWORK -> models/heads/..."""

import time
from typing import Any

import numpy as np

import common
from eos.errors import placed
from eos.heads import softmax
from eos.heads.retraining import retrain
from eos.storage.files import write_arrays
from eos.storage.layouts import EMBEDDINGS, OVERSAMPLED, read_stored


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write each head's weights, test logits and learning curves, all seeds stacked."""
    parameters = common.parameters()
    settings = parameters.head_training
    recipe = softmax.Recipe(**settings.model_dump(exclude={"curve_epochs", "seeds"}))
    data = read_stored(common.embeddings_file(dataset, cut, network), EMBEDDINGS)
    folder = common.heads_folder(dataset, cut, network)
    folder.mkdir(parents=True, exist_ok=True)  # a network may have no head but its own
    heads = [head for head in parameters.networks[network].heads if parameters.heads[head].sampler != "own"]
    measured = {}
    for number, head in enumerate(heads, start=1):
        start = time.perf_counter()
        features, labels = data["train_features"], data["train_labels"]
        if parameters.heads[head].sampler != "none":
            path = common.oversampled_folder(dataset, cut, network) / f"{head}.npz"
            balanced = read_stored(path, OVERSAMPLED, "synthetic", "labels")
            features, labels = np.concatenate([features, balanced["synthetic"]]), balanced["labels"]
        with placed(f"{common.PARAMETERS}: head_training, head {head} of {network}"):
            runs = [
                retrain(
                    (features, labels),
                    (data["test_features"], data["test_labels"]),
                    (data["validation_features"], data["validation_labels"]),
                    n_classes=data["test_logits"].shape[1],
                    recipe=recipe,
                    curve_epochs=settings.curve_epochs,
                    rule=parameters.selection,
                    seed=seed,
                )
                for seed in settings.seeds
            ]
        seconds = (time.perf_counter() - start) / len(runs)
        stacked = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
        write_arrays(folder / f"{head}.npz", stacked)
        measured[head] = {
            "seconds": seconds,
            "epochs": settings.curve_epochs,
            "rows": len(labels),
            "parameters": runs[0]["weight"].size + runs[0]["bias"].size,
            "made": common.digest(folder / f"{head}.npz"),
        }
        print(f"head {number}/{len(heads)} {head}: {len(runs)} seeds on {len(labels)} rows", flush=True)
    return {"heads": measured}


if __name__ == "__main__":
    common.run(main)
