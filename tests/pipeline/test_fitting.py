"""Phase 1 for a cell: what is written, that it goes together, and what the epochs print."""

import errno
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from eos.config.schema import Architecture, Parameters
from eos.metrics.scores import score
from eos.models.inference import extract
from eos.models.network import build_network
from eos.models.saved import load_saved
from eos.pipeline import fitting, paths
from eos.storage.files import read_arrays, read_json, write_arrays
from eos.storage.layouts import BALANCED
from eos.training.loop import EpochRecord
from tests import helpers
from tests.helpers import DEVICE, same_files

FOLDER = Path("models/any")


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty project with images and a split of `digits-0` that are made up; two are held out."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(30) % 2
    write_arrays(
        paths.images_file("digits"),
        {
            "train_images": images[:20],
            "train_labels": labels[:20],
            "test_images": images[20:],
            "test_labels": labels[20:],
            "class_names": np.array(["even", "odd"]),
        },
    )
    split = {"train": np.arange(18), "validation": np.arange(18, 20), "class_counts": np.array([9, 9])}
    write_arrays(paths.split_file("digits", 0), split)
    return tmp_path


def parameters(*, epochs: int = 2, precision: str = "fp32") -> Parameters:
    """Return those of params.yaml with a short training on digits, which is not portable here."""
    known = helpers.parameters()
    digits = known.datasets["digits"]
    training = digits.training.model_copy(update={"epochs": epochs, "precision": precision, "batch_size": 10})
    changed = digits.model_copy(update={"portable": False, "training": training})
    shared = known.training.model_copy(update={"device": DEVICE, "cpu_threads": 1})
    return known.model_copy(update={"training": shared, "datasets": known.datasets | {"digits": changed}})


def test_the_folder_has_all_that_is_needed_to_use_the_network(cell: Path) -> None:
    measured = fitting.fit_network(parameters(), fitting.Job("digits", 0, "ldam", FOLDER))
    assert (measured["epochs"], measured["rows"]) == (2, 18)
    assert measured["seconds"] > 0
    description = read_json(FOLDER / "network.json")
    expected = {
        "architecture": "resnet8",
        "classifier": "cosine",
        "branches": 1,
        "channels": 1,
        "class_names": ["even", "odd"],
    }
    assert expected.items() <= description.items()
    for rule in ("last", "test", "validation"):
        saved = load_saved(FOLDER, rule)
        assert saved.epoch == description["epochs"][rule] <= 2
        assert saved.class_names == ["even", "odd"]
        _, logits = extract(
            saved.network, np.zeros((3, 8, 8, 1), np.uint8), saved.mean, saved.std, device=DEVICE
        )
        assert logits.shape == (3, 2)
        assert np.isfinite(logits).all()
    assert sum(weight.numel() for weight in saved.network.parameters()) == measured["parameters"]
    history = pd.read_csv(FOLDER / "history/plots/metrics/loss.tsv", sep="\t")
    assert history["step"].tolist() == [1, 2]
    assert not (FOLDER / "scores.csv").exists()
    assert not list(paths.CHECKPOINTS.iterdir())  # what a finished training has no more need of


def test_a_network_of_two_branches_comes_back_from_its_folder(cell: Path) -> None:
    measured = fitting.fit_network(parameters(), fitting.Job("digits", 0, "bbn", FOLDER))
    assert read_json(FOLDER / "network.json")["branches"] == 2
    saved, data = load_saved(FOLDER, "last"), read_arrays(paths.images_file("digits"))
    assert sum(weight.numel() for weight in saved.network.parameters()) == measured["parameters"]
    features, logits = extract(saved.network, data["test_images"], saved.mean, saved.std, device=DEVICE)
    assert features.shape == (10, 128)
    told = pd.read_csv(FOLDER / "history/plots/metrics/test_BAC.tsv", sep="\t")["test_BAC"].iloc[-1]
    assert told == score(data["test_labels"], logits.argmax(axis=1), 2)["BAC"]


def test_a_training_that_was_stopped_ends_with_the_same_files(
    cell: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", Path("whole")))

    class Stopping(fitting.EpochLog):
        def __call__(self, record: Any) -> None:
            super().__call__(record)
            if record.epoch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "EpochLog", Stopping)
        with pytest.raises(KeyboardInterrupt):
            fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", Path("stopped")))
    capsys.readouterr()
    fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", Path("stopped")))
    told = capsys.readouterr().out
    stated, goes_on, *_ = told.splitlines()
    assert stated == "18 training images: 2 epochs of 2 steps, batch size 10, learning rate 0.02"
    assert goes_on.startswith("goes on after epoch 1")
    assert "epoch 1/2" not in told
    assert "epoch 2/2" in told
    names = sorted(path.relative_to("whole") for path in Path("whole").rglob("*") if path.is_file())
    assert names == sorted(
        path.relative_to("stopped") for path in Path("stopped").rglob("*") if path.is_file()
    )
    for name in names:
        same_files("whole" / name, "stopped" / name, of_training=True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_networks_on_balanced_images_are_scored_as_they_were_trained(cell: Path, precision: str) -> None:
    """Such a network's score is the one that its history has of the epoch, in the training's precision."""
    synthetic = paths.generated_file("digits", 0, "gamo")
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    notes = np.array(["one thing", "another"])
    write_arrays(synthetic, {"images": images, "labels": np.ones(4, dtype=np.int64), "notes": notes})
    settings = parameters(epochs=8, precision=precision)
    job = fitting.Job("digits", 0, "ce", FOLDER, synthetic=synthetic, sampler="gamo")
    measured = fitting.fit_network(settings, job)
    digits = settings.datasets["digits"].training
    assert digits.balanced_epochs_share is not None
    assert measured["epochs"] == round(8 * digits.balanced_epochs_share) > 1
    assert measured["rows"] == 22
    scores = pd.read_csv(FOLDER / "scores.csv")
    assert list(scores) == BALANCED
    assert scores["selection"].tolist() == ["last", "validation", "test"]
    assert (scores["note"] == "one thing | another").all()
    cells = scores[["dataset", "cut", "sampler", "network", "seed"]].to_numpy().tolist()
    assert cells == [["digits", 0, "gamo", "ce", 0]] * 3
    history = pd.read_csv(FOLDER / "history/plots/metrics/test_BAC.tsv", sep="\t").set_index("step")
    assert scores["BAC"].tolist() == history.loc[scores["epoch"], "test_BAC"].tolist()
    saved = load_saved(FOLDER, "last")
    assert saved.precision == precision


def test_synthetic_images_may_come_late(
    cell: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[int] = []

    def warned(*, steps: int, **values: Any) -> list[str]:
        given.append(steps)
        return []

    monkeypatch.setattr(fitting, "warnings", warned)
    synthetic = paths.generated_file("digits", 0, "gamo")
    images, notes = np.zeros((14, 8, 8, 1), np.uint8), np.array([], dtype=np.str_)
    write_arrays(synthetic, {"images": images, "labels": np.ones(14, dtype=np.int64), "notes": notes})
    settings = parameters(epochs=9)  # of which networks on balanced images get three
    late = fitting.Job("digits", 0, "ce", FOLDER, synthetic=synthetic, sampler="gamo", synthetic_from=0.5)
    assert fitting.fit_network(settings, late)["rows"] == 32
    assert capsys.readouterr().out.splitlines()[0] == (
        "32 training images: 18 real ones first, 2 epochs of 2 steps; then all, 1 epochs of 3 steps, "
        "batch size 10, learning rate 0.02"
    )
    assert given == [7]
    place = r"^params\.yaml: generators\.gamo\.synthetic_from"
    with pytest.raises(ValueError, match=rf"{place}: 0\.9 leaves none of 3 epochs \(network ce on digits\)"):
        fitting.fit_network(settings, replace(late, synthetic_from=0.9))


def test_a_training_that_cannot_be_names_its_place(cell: Path) -> None:
    settings = parameters()
    for chosen, message in (
        (Architecture.model_construct(name="resnet9", weights=None), "unknown architecture"),
        (Architecture(name="resnet8", weights="nowhere.pth"), r"nowhere\.pth: no such file of weights"),
    ):
        with pytest.raises(ValueError, match=rf"^params\.yaml: networks\.ce on digits: .*{message}"):
            fitting.fit_network(with_architecture(settings, chosen), fitting.Job("digits", 0, "ce", FOLDER))


def with_architecture(settings: Parameters, chosen: Architecture) -> Parameters:
    network = settings.networks["ce"].model_copy(update={"architecture": chosen})
    return settings.model_copy(update={"networks": settings.networks | {"ce": network}})


def test_a_training_that_starts_from_weights(cell: Path) -> None:
    """A step of next to nothing leaves them as they were; other weights are another training."""
    still = parameters(epochs=1)
    slow = still.datasets["digits"].training.model_copy(update={"learning_rate": 1e-30})
    digits = still.datasets["digits"].model_copy(update={"training": slow})
    still = still.model_copy(update={"datasets": still.datasets | {"digits": digits}})
    start = build_network("resnet8", channels=1, n_classes=7, generator=torch.Generator().manual_seed(5))
    torch.save(start.state_dict(), "start.pth")
    chosen = Architecture(name="resnet8", weights="start.pth")
    fitting.fit_network(with_architecture(still, chosen), fitting.Job("digits", 0, "ce", FOLDER))
    found = load_saved(FOLDER, "last").network
    for name, value in start.named_parameters():
        if name.startswith("backbone."):
            torch.testing.assert_close(found.get_parameter(name), value, rtol=0, atol=1e-25)


def test_warnings_are_printed_at_the_end(
    cell: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[dict[str, Any]] = []

    def warned(**values: Any) -> list[str]:
        given.append(values)
        return ["it went wrong; do better"]

    monkeypatch.setattr(fitting, "warnings", warned)
    fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", FOLDER))
    assert capsys.readouterr().out.splitlines()[-1] == "warning: it went wrong; do better"
    history = FOLDER / "history/plots/metrics"
    last = {
        name: pd.read_csv(history / f"{name}.tsv", sep="\t")[name].iloc[-1]
        for name in ("train_BAC", "test_BAC")
    }
    data, saved = read_arrays(paths.images_file("digits")), load_saved(FOLDER, "last")
    _, logits = extract(saved.network, data["train_images"][:18], saved.mean, saved.std, device=DEVICE)
    settled = score(data["train_labels"][:18], logits.argmax(axis=1), 2)["BAC"]
    assert given == [{"n_classes": 2, "steps": 4, "settled_BAC": settled} | last]


def test_the_time_left_is_on_the_clock_also_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    record = EpochRecord(1, 0.1, 2.0, 0.3, seconds=10.0)
    live: Any = SimpleNamespace(dir="", step=0, log_metric=lambda *given: None, next_step=lambda: None)
    for beside in (1, 4):
        fitting.EpochLog(5, live, label=f"{beside} beside: ", beside=beside)(record)
    assert [line.rpartition("  ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "40 s left",
        "160 s left",
    ]


def test_a_disk_that_is_full_for_the_history_is_told_with_its_folder() -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    live: Any = SimpleNamespace(dir="models/networks/digits-0/ce/history", log_metric=full)
    log = fitting.EpochLog(5, live)
    with pytest.raises(OSError, match="No space left on device: 'models/networks/digits-0/ce/history'"):
        log(EpochRecord(1, 0.1, 2.0, 0.3, seconds=10.0))


def test_a_disk_that_is_full_for_the_database_of_dvc_is_told(
    cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **settings: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(fitting, "Live", full)
    with pytest.raises(OSError, match=r"DVC's own database .* database or disk is full"):
        fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", FOLDER))


def test_a_disk_that_is_full_when_the_history_ends_is_told_with_its_folder(
    cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVCLive writes once more when it is left, after an error, too, and its own error names no file."""

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fitting.Live, "end", full)
    with pytest.raises(OSError, match="No space left on device: 'models/any/history'"):
        fitting.fit_network(parameters(), fitting.Job("digits", 0, "ce", FOLDER))
