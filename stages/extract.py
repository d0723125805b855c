"""Extract the embeddings of a network's selected epoch: DATASET CUT NETWORK -> data/embeddings/..."""

from typing import Any

import numpy as np
import torch

import common
from eos.config.cells import architecture, training_recipe
from eos.devices import limit_threads, pick_device, pick_precision
from eos.errors import InputError, placed
from eos.losses.base import find_loss
from eos.models.inference import extract, load_network
from eos.models.network import classifier_weights
from eos.storage.files import REMAKE, read_json, read_weights, write_arrays
from eos.storage.layouts import IMAGES, SPLIT, read_stored


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write features, logits and labels of all images, the classifier's weights and the network's epoch."""
    parameters = common.parameters()
    recipe = training_recipe(parameters, dataset, network)
    limit_threads(recipe.cpu_threads)
    data = read_stored(common.images_file(dataset), IMAGES)
    split = read_stored(common.split_file(dataset, cut), SPLIT, "train", "validation")
    folder = common.network_folder(dataset, cut, network)
    path = folder / f"{parameters.selection}.safetensors"
    weights = read_weights(path)
    facts = read_json(folder / "network.json")
    try:
        mean, std, epoch = facts["mean"], facts["std"], facts["epochs"][parameters.selection]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'network.json'}: does not hold {error}; {REMAKE}") from error
    with placed(str(path)):
        model = load_network(
            {name: torch.from_numpy(value) for name, value in weights.items()},
            architecture(parameters, dataset, network),
            channels=data["train_images"].shape[3],
            n_classes=len(data["class_names"]),
            classifier=find_loss(parameters.networks[network].loss.name).classifier,
        )
    precision = pick_precision(recipe.precision, pick_device(recipe.device))
    arrays: dict[str, np.ndarray] = {
        "weight": classifier_weights(model),
        "epoch": np.array(epoch),
        "precision": np.array(precision),
    }
    for part, images, labels in (
        ("train", data["train_images"][split["train"]], data["train_labels"][split["train"]]),
        ("validation", data["train_images"][split["validation"]], data["train_labels"][split["validation"]]),
        ("test", data["test_images"], data["test_labels"]),
    ):
        features, logits = extract(model, images, mean, std, device=recipe.device, precision=precision)
        print(f"{part}: {len(features)} embeddings of length {features.shape[1]}", flush=True)
        broken = int((~np.isfinite(features)).any(axis=1).sum())
        if broken:
            raise InputError(
                f"{path}: the embeddings of {broken} of {len(features)} {part} images are not finite; "
                "train again with a lower training.learning_rate"
            )
        arrays |= {f"{part}_features": features, f"{part}_logits": logits, f"{part}_labels": labels}
    file = common.embeddings_file(dataset, cut, network)
    write_arrays(file, arrays)
    return {"made": common.digest(file)}


if __name__ == "__main__":
    common.run(main)
