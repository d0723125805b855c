"""Balance the imbalanced images by a generative model: DATASET CUT GENERATOR -> data/generated/..."""

import time
from typing import Any

import numpy as np

import common
from eos.config.cells import cpu_threads
from eos.config.schema import generator_on
from eos.devices import limit_threads
from eos.errors import placed
from eos.generators.base import Progress
from eos.generators.generation import generate, sample_sheet
from eos.storage.files import replacing, write_arrays
from eos.storage.layouts import IMAGES, SPLIT, read_stored
from eos.training.checkpoints import FileCheckpoint, fingerprint, library_code

SECONDS_BETWEEN_LINES = 15.0


def main(dataset: str, cut: int, generator: str) -> dict[str, Any]:
    """Write the synthetic images, their labels, what is to be noted; and a sheet of samples to look at."""
    parameters = common.parameters()
    limit_threads(cpu_threads(parameters, dataset))
    definition = generator_on(parameters, dataset, generator)
    data = read_stored(common.images_file(dataset), IMAGES, "train_images", "train_labels", "class_names")
    rows = read_stored(common.split_file(dataset, cut), SPLIT, "train")["train"]
    images, labels = data["train_images"][rows], data["train_labels"][rows]
    arguments: dict[str, Any] = {
        "n_classes": len(data["class_names"]),
        "seed": parameters.oversampling.random_state,
        "device": parameters.training.device,
        **definition.model_dump(exclude={"model"}),
    }
    key = fingerprint(
        [images, labels], (definition.model, arguments, cpu_threads(parameters, dataset)), library_code()
    )
    checkpoint = FileCheckpoint(common.CHECKPOINTS / f"{key}.safetensors")
    report, resumed, start = Report(), checkpoint.path.exists(), time.perf_counter()
    with placed(f"{common.PARAMETERS}: generators.{generator}, on {dataset}"):
        made = generate(
            definition.model, images, labels, checkpoint=checkpoint, on_progress=report, **arguments
        )
    seconds = time.perf_counter() - start
    file = common.generated_file(dataset, cut, generator)
    write_arrays(
        file,
        {"images": made.images, "labels": made.labels, "notes": np.array(made.notes, dtype=np.str_)},
    )
    sheet = sample_sheet(made.images, made.labels, n_classes=len(data["class_names"]))
    with replacing(common.PLOTS / dataset / f"{generator}-{cut}.png") as picture:
        sheet.save(picture, format="png")
    checkpoint.clear()
    print(f"{len(made.images)} synthetic images", flush=True)
    # What a stopped run took is not known; steps are no epochs.
    return {
        "seconds": None if resumed else seconds,
        "epochs": report.total if report.unit == "epochs" else None,
        "rows": len(images),
        "made": common.digest(file),
    }


class Report:
    """Print a line now and then, with the time left."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.first: int | None = None
        self.total = 0
        self.unit = ""

    def __call__(self, progress: Progress) -> None:
        """Tell how far the training is."""
        now = time.monotonic()
        self.total, self.unit = progress.total, progress.unit
        if self.first is None:
            self.first = progress.done
        if now - self.last < SECONDS_BETWEEN_LINES or progress.done == self.first:
            return
        self.last = now
        left = (now - self.start) / (progress.done - self.first) * (progress.total - progress.done)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        print(f"{progress.done}/{progress.total} {progress.unit}  {losses}  {left:.0f} s left", flush=True)


if __name__ == "__main__":
    common.run(main)
