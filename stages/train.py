"""Phase 1, train a network end to end on the imbalanced images: DATASET CUT NETWORK -> models/networks/..."""

import csv
import io
import time
from dataclasses import asdict

import common
from eos import training
from eos.cells import architecture, training_recipe
from eos.devices import limit_threads
from eos.files import read_arrays, write_json, write_text, write_weights


def main(dataset: str, cut: int, network: str) -> None:
    """Write the weights that each selection rule chooses, what goes with them, and the history."""
    parameters = common.parameters()
    recipe = training_recipe(parameters, dataset)
    limit_threads(recipe.cpu_threads)
    loss = parameters.networks[network].loss
    given = parameters.datasets[dataset].normalization
    data = read_arrays(common.images_file(dataset))
    split = read_arrays(common.split_file(dataset, cut), "train", "validation")
    train, validation = (
        training.Images(data["train_images"][rows], data["train_labels"][rows]) if len(rows) else None
        for rows in (split["train"], split["validation"])
    )
    assert train is not None
    trained = training.train(
        train,
        training.Images(data["test_images"], data["test_labels"]),
        validation=validation,
        n_classes=len(data["class_names"]),
        architecture=architecture(parameters, dataset, network),
        loss=loss.name,
        loss_parameters=loss.model_dump(exclude={"name"}),
        recipe=training.Recipe(**recipe.model_dump(exclude={"device", "cpu_threads"})),
        normalization=(given.mean, given.std) if given else None,
        device=recipe.device,
        on_epoch=Progress(recipe.epochs),
    )
    folder = common.network_folder(dataset, cut, network)
    for rule, weights in trained.weights.items():
        arrays = {name: value.numpy() for name, value in weights.items()}
        write_weights(folder / f"{rule}.safetensors", arrays)
    # What else is needed to use the weights, and how they came about.
    facts = {
        "epochs": trained.epochs,
        "precision": trained.precision,
        "mean": trained.mean,
        "std": trained.std,
    }
    write_json(folder / "network.json", facts)
    write_text(folder / "history.csv", history(trained.history))


def history(records: list[training.EpochRecord]) -> str:
    """Return the history as CSV, without the seconds: equal trainings have equal histories."""
    rows = [asdict(record) for record in records]
    for row in rows:
        del row["seconds"]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class Progress:
    """Print a line for about every tenth of the epochs, with the time left."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.start = time.perf_counter()

    def __call__(self, record: training.EpochRecord) -> None:
        """Report one epoch."""
        if record.epoch % max(1, self.epochs // 10) and record.epoch != self.epochs:
            return
        left = (time.perf_counter() - self.start) / record.epoch * (self.epochs - record.epoch)
        print(
            f"epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}  "
            f"BAC train {record.train_BAC:.3f} test {record.test_BAC:.3f}  {left:.0f} s left",
            flush=True,
        )


if __name__ == "__main__":
    common.run(main)
