"""Extract the embeddings of a network's selected epoch: DATASET CUT NETWORK -> data/embeddings/..."""

import time
from typing import Any

from eos.pipeline.command import digest, parameters, run


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write features, logits and labels of all images, the classifier's weights and the network's epoch."""
    import numpy as np

    from eos.config.cells import machine
    from eos.errors import InputError
    from eos.models.devices import limit_threads, pick_device, pick_precision
    from eos.models.inference import extract
    from eos.models.network import classifier_bias, classifier_weights
    from eos.models.saved import load_saved
    from eos.pipeline.paths import embeddings_file, images_file, network_folder, split_file
    from eos.storage.files import write_arrays
    from eos.storage.layouts import IMAGES, SPLIT, read_stored

    start = time.perf_counter()  # after the imports
    settings = machine(parameters(), dataset)
    limit_threads(settings["cpu_threads"])
    data = read_stored(images_file(dataset), IMAGES)
    split = read_stored(split_file(dataset, cut), SPLIT, "train", "validation")
    folder = network_folder(dataset, cut, network)
    saved = load_saved(folder, parameters().selection)
    precision = pick_precision(settings["precision"], pick_device(settings["device"]))
    arrays: dict[str, np.ndarray] = {
        "weight": classifier_weights(saved.network),
        "bias": classifier_bias(saved.network),
        "epoch": np.array(saved.epoch),
        "precision": np.array(precision),
    }
    for part, images, labels in (
        ("train", data["train_images"][split["train"]], data["train_labels"][split["train"]]),
        ("validation", data["train_images"][split["validation"]], data["train_labels"][split["validation"]]),
        ("test", data["test_images"], data["test_labels"]),
    ):
        features, logits = extract(
            saved.network, images, saved.mean, saved.std, device=settings["device"], precision=precision
        )
        print(f"{part}: {len(features)} embeddings of length {features.shape[1]}", flush=True)
        broken = int((~np.isfinite(features)).any(axis=1).sum())
        if broken:
            raise InputError(
                f"{folder}: the embeddings of {broken} of {len(features)} {part} images are not finite; "
                "train again with a lower training.learning_rate"
            )
        arrays |= {f"{part}_features": features, f"{part}_logits": logits, f"{part}_labels": labels}
    file = embeddings_file(dataset, cut, network)
    write_arrays(file, arrays)
    return {"seconds": time.perf_counter() - start, "made": digest(file)}


if __name__ == "__main__":
    run(main)
