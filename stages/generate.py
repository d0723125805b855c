"""Balance the imbalanced images by a generative model: DATASET CUT GENERATOR -> data/generated/..."""

import time
from typing import Any

from eos.pipeline.command import digest, parameters, run


def main(dataset: str, cut: int, generator: str) -> dict[str, Any]:
    """Write the synthetic images, their labels, and what is to be noted."""
    import numpy as np

    from eos.config.cells import generator_on, machine
    from eos.errors import placed
    from eos.generators.base import ProgressLines
    from eos.generators.generation import generate
    from eos.models.devices import limit_threads
    from eos.pipeline.paths import CHECKPOINTS, PARAMETERS, generated_file, images_file, split_file
    from eos.storage.files import write_arrays
    from eos.storage.layouts import IMAGES, SPLIT, read_stored
    from eos.training.checkpoints import FileCheckpoint, fingerprint, library_code

    settings = machine(parameters(), dataset)
    limit_threads(settings["cpu_threads"])
    definition = generator_on(parameters(), dataset, generator)
    data = read_stored(images_file(dataset), IMAGES, "train_images", "train_labels", "class_names")
    rows = read_stored(split_file(dataset, cut), SPLIT, "train")["train"]
    images, labels = data["train_images"][rows], data["train_labels"][rows]
    arguments: dict[str, Any] = {
        "n_classes": len(data["class_names"]),
        "seed": parameters().oversampling.random_state,
        "device": settings["device"],
        **definition.model_dump(exclude={"model"}),
    }
    key = fingerprint([images, labels], (definition.model, arguments, settings), library_code())
    checkpoint = FileCheckpoint(CHECKPOINTS / f"{key}.safetensors")
    report, resumed, start = ProgressLines(), checkpoint.path.exists(), time.perf_counter()
    with placed(f"{PARAMETERS}: generators.{generator}, on {dataset}"):
        made = generate(
            definition.model, images, labels, checkpoint=checkpoint, on_progress=report, **arguments
        )
    seconds = time.perf_counter() - start
    file = generated_file(dataset, cut, generator)
    write_arrays(
        file,
        {"images": made.images, "labels": made.labels, "notes": np.array(made.notes, dtype=np.str_)},
    )
    checkpoint.clear()
    print(f"{len(made.images)} synthetic images", flush=True)
    # What a stopped run took is not known; steps are no epochs.
    return {
        "seconds": None if resumed else seconds,
        "epochs": report.total if report.unit == "epochs" else None,
        "rows": len(images),
        "made": digest(file),
    }


if __name__ == "__main__":
    run(main)
