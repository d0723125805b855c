"""Phase 1, train a network end to end on the imbalanced images: DATASET CUT NETWORK -> models/networks/..."""

from pathlib import Path
from typing import Any

from dvclive import Live

import common
from eos import devices, embeddings, losses, networks, training
from eos.cells import architecture, training_recipe
from eos.checkpoints import FileCheckpoint, fingerprint
from eos.errors import placed
from eos.files import write_json, write_weights
from eos.layouts import IMAGES, SPLIT, read_stored

# Outside the declared outputs, which DVC removes before it runs a stage.
CHECKPOINTS = Path(".checkpoints")
LOGGED = ("learning_rate", "loss", "train_BAC", "test_BAC", "test_FM", "validation_BAC", "validation_FM")


def main(dataset: str, cut: int, network: str) -> None:
    """Write the weights that each selection rule chooses, what goes with them, and the history."""
    parameters = common.parameters()
    recipe = training_recipe(parameters, dataset)
    devices.limit_threads(recipe.cpu_threads)
    loss = parameters.networks[network].loss
    given = parameters.datasets[dataset].normalization
    data = read_stored(common.images_file(dataset), IMAGES)
    split = read_stored(common.split_file(dataset, cut), SPLIT, "train", "validation")
    train, validation = (
        training.Images(data["train_images"][rows], data["train_labels"][rows]) if len(rows) else None
        for rows in (split["train"], split["validation"])
    )
    assert train is not None  # `split` leaves every class an image
    settings: dict[str, Any] = {
        "architecture": architecture(parameters, dataset, network),
        "loss": loss.name,
        "loss_parameters": loss.model_dump(exclude={"name"}),
        "recipe": training.Recipe(**recipe.model_dump(exclude={"device", "cpu_threads"})),
        "normalization": (given.mean, given.std) if given else None,
        "device": recipe.device,
    }
    # A checkpoint is taken up only by the training that wrote it: same images, settings and code.
    modules = (devices, embeddings, losses, networks, training)
    code = [Path(str(module.__file__)) for module in modules]
    key = fingerprint([*data.values(), *split.values()], (settings, recipe.cpu_threads), code)
    checkpoint = FileCheckpoint(CHECKPOINTS / f"{dataset}-{cut}-{network}-{key}.safetensors")
    saved = checkpoint.load()
    done = 0 if saved is None else len(saved["history"])
    if done:
        print(f"goes on after epoch {done}, where it was stopped", flush=True)
    folder = common.network_folder(dataset, cut, network)
    place = placed(f"{common.PARAMETERS}: networks.{network} on {dataset}")
    with place, Live(str(folder / "history"), dvcyaml=None, save_dvc_exp=False) as live:
        trained = training.train(
            train,
            training.Images(data["test_images"], data["test_labels"]),
            validation=validation,
            n_classes=len(data["class_names"]),
            on_epoch=Progress(recipe.epochs, live, done),
            checkpoint=checkpoint,
            **settings,
        )
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
    checkpoint.clear()


class Progress:
    """Log every epoch, and print a line for about every tenth of them, with the time left."""

    def __init__(self, epochs: int, live: Live, done: int) -> None:
        self.epochs = epochs
        self.done = done  # epochs that an earlier run has told of
        self.live = live
        self.seconds = 0.0

    def __call__(self, record: training.EpochRecord) -> None:
        """Report one epoch."""
        self.live.step = record.epoch
        for name in LOGGED:
            value = getattr(record, name)
            if value is not None:
                self.live.log_metric(name, value)
        self.live.next_step()
        self.seconds += record.seconds
        last = record.epoch == self.epochs
        if record.epoch <= self.done or (record.epoch % max(1, self.epochs // 10) and not last):
            return
        left = self.seconds / record.epoch * (self.epochs - record.epoch)
        print(
            f"epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}  "
            f"BAC train {record.train_BAC:.3f} test {record.test_BAC:.3f}  {left:.0f} s left",
            flush=True,
        )


if __name__ == "__main__":
    common.run(main)
