"""A training that was stopped, anywhere, ends with the bytes of one that was not."""

import hashlib
import random
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from sklearn.datasets import load_digits

from eos.storage.files import Arrays
from eos.training.checkpoints import FileCheckpoint, fingerprint
from eos.training.config import TrainConfig
from eos.training.loop import EpochRecord, Images, Trained, train
from tests.helpers import DEVICE, ROOT, given, same_files, same_training, train_config

CONFIG = train_config(epochs=5, batch_size=16, learning_rate=0.02, crop_padding=1, seed=3)


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def parts() -> list[Images]:
    bunch = load_digits(n_class=3)
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return [Images(images[start : start + 40], bunch.target[start : start + 40]) for start in (0, 40, 80)]


def run(
    parts: list[Images],
    checkpoint: FileCheckpoint | None,
    *,
    stop_after: int = 0,
    loss: str = "ldam",
    config: TrainConfig = CONFIG,
) -> tuple[Trained, list[EpochRecord]]:
    records: list[EpochRecord] = []

    def on_epoch(record: EpochRecord) -> None:
        records.append(record)
        if record.epoch == stop_after:
            raise StoppedError

    trained = train(
        parts[0],
        parts[1],
        validation=parts[2],
        n_classes=3,
        architecture="resnet20",
        loss=loss,
        loss_parameters=given("loss", loss),
        config=config,
        device=DEVICE,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return trained, records


@pytest.mark.parametrize(("loss", "score_every"), [("ce", 1), ("ldam", 1), ("ldam", 2)])
@pytest.mark.parametrize("stops", [(1,), (4,), (2, 3, 4)])
def test_resumed_is_uninterrupted(
    tmp_path: Path, parts: list[Images], stops: tuple[int, ...], loss: str, score_every: int
) -> None:
    config = replace(CONFIG, score_every=score_every)
    whole, _ = run(parts, None, loss=loss, config=config)
    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")
    for stop in stops:
        with pytest.raises(StoppedError):
            run(parts, checkpoint, stop_after=stop, loss=loss, config=config)
    resumed, records = run(parts, checkpoint, loss=loss, config=config)
    same_training(whole, resumed)
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5]  # those before the stop are told again
    saved = checkpoint.load()
    assert saved is not None
    assert saved["history"].shape[0] == 5


def test_epochs_before_a_stop_are_not_trained_again(tmp_path: Path, parts: list[Images]) -> None:
    saves = []

    class Counting(FileCheckpoint):
        def save(self, arrays: Mapping[str, np.ndarray]) -> None:
            saves.append(len(arrays["history"]))
            super().save(arrays)

    checkpoint = Counting(tmp_path / "c.safetensors")
    with pytest.raises(StoppedError):
        run(parts, checkpoint, stop_after=3)
    run(parts, checkpoint)
    assert saves == [1, 2, 3, 4, 5]


def test_a_resumption_is_told_before_the_epochs_before_it(tmp_path: Path, parts: list[Images]) -> None:
    told: list[str] = []
    loads = []

    class Counting(FileCheckpoint):
        def load(self) -> Arrays | None:
            loads.append(self.path)
            return super().load()

    def go(epochs: int) -> None:
        train(
            parts[0],
            parts[1],
            n_classes=3,
            architecture="resnet8",
            loss="ce",
            config=replace(CONFIG, epochs=epochs),
            device=DEVICE,
            on_epoch=lambda record: told.append(f"epoch {record.epoch}"),
            checkpoint=Counting(tmp_path / "c.safetensors"),
            on_resume=lambda done: told.append(f"{done} done"),
        )

    go(2)
    assert told == ["epoch 1", "epoch 2"]  # a fresh start is no resumption
    told.clear()
    go(3)
    assert told == ["2 done", "epoch 1", "epoch 2", "epoch 3"]
    assert len(loads) == 2  # once per training


def test_without_momentum(tmp_path: Path, parts: list[Images]) -> None:
    config = replace(CONFIG, momentum=0.0, epochs=3)
    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")
    with pytest.raises(StoppedError):
        run(parts, checkpoint, stop_after=2, config=config)
    same_training(run(parts, None, config=config)[0], run(parts, checkpoint, config=config)[0])


def flipped(content: bytes, place: int, bit: int = 4) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_a_damaged_checkpoint_costs_the_epochs_only(
    tmp_path: Path, parts: list[Images], capsys: pytest.CaptureFixture[str]
) -> None:
    """One bit of a weight, say, with which the training could go on to other weights."""
    config, checkpoint = replace(CONFIG, epochs=2), FileCheckpoint(tmp_path / "c.safetensors")
    with pytest.raises(StoppedError):
        run(parts, checkpoint, stop_after=1, config=config)
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(flipped(content, len(content) // 2))
    resumed, records = run(parts, checkpoint, config=config)
    same_training(run(parts, None, config=config)[0], resumed)
    assert [record.epoch for record in records] == [1, 2]
    told = capsys.readouterr().out.splitlines()
    assert told == [f"{checkpoint.path}: damaged, or not of this training, which starts anew"]


def test_every_damage_of_a_checkpoint_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, other = (FileCheckpoint(tmp_path / name) for name in ("c.safetensors", "d.safetensors"))
    other.save({"x": np.arange(50)})
    checkpoint.save({"x": np.arange(50), "done": np.array(4), "none": np.zeros((0, 3))})
    content, draw = checkpoint.path.read_bytes(), random.Random(0)
    safetensors.numpy.save_file({"x": np.arange(50)}, tmp_path / "foreign")
    wrong = [flipped(content, place, draw.randrange(8)) for place in range(len(content))]
    wrong += [content[:kept] for kept in (0, 1, 8, 100, len(content) - 1)]
    wrong += [content + b"\0", content.replace(b"done", b"gone"), bytes(len(content)), b"<html>"]
    wrong += [other.path.read_bytes(), (tmp_path / "foreign").read_bytes()]
    digest = re.search(rb'"sha256":"(\w+)"', content)
    assert digest is not None
    # No JSON, but the right digest.
    forged = content.replace(digest[1], b"0" * 64).replace(b'"done"', b'"done ')
    wrong.append(forged.replace(b"0" * 64, hashlib.sha256(b"c.safetensors" + forged).hexdigest().encode()))
    for damaged in wrong:
        checkpoint.path.write_bytes(damaged)
        assert checkpoint.load() is None
    assert capsys.readouterr().out.count(f"{checkpoint.path}: damaged, or not of this") == len(wrong)
    checkpoint.path.unlink()
    checkpoint.path.mkdir()  # cannot be read
    assert checkpoint.load() is None
    assert f"{checkpoint.path}': the training starts anew" in capsys.readouterr().out
    checkpoint.path.rmdir()
    assert checkpoint.load() is None
    assert capsys.readouterr().out == ""  # nothing there, nothing to tell
    checkpoint.path.write_bytes(content)
    loaded = checkpoint.load()
    assert loaded is not None
    assert {name: array.tolist() for name, array in loaded.items()} == {
        "x": list(range(50)),
        "done": 4,
        "none": [],
    }


def test_clearing(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "folder" / "c.safetensors")
    checkpoint.clear()
    checkpoint.save({"x": np.arange(3)})
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded["x"].tolist() == [0, 1, 2]
    checkpoint.clear()
    assert checkpoint.load() is None


def test_the_fingerprint_changes_with_everything(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("a = 1")
    base = fingerprint([np.arange(4)], ("a", 1), [code])
    others = {
        fingerprint([np.arange(4).reshape(2, 2)], ("a", 1), [code]),
        fingerprint([np.arange(4, dtype=np.int32)], ("a", 1), [code]),
        fingerprint([np.array([0, 1, 2, 4])], ("a", 1), [code]),
        fingerprint([np.arange(4)], ("a", 2), [code]),
    }
    code.write_text("a = 2")
    others.add(fingerprint([np.arange(4)], ("a", 1), [code]))
    assert base not in others
    assert len(others) == 5


# Trains in a process of its own, which kills itself at a call of a function. Its arguments: this repository,
# a folder, and where it is to be killed, the name of the function ("module:function") and the call's number.
SCRIPT = """
import importlib, os, signal, sys
from pathlib import Path
repository, folder, *killed = sys.argv[1:]
sys.path.insert(0, repository)
from tests.training import test_checkpoints as t
from eos.storage.files import write_weights
from eos.training.checkpoints import FileCheckpoint
if killed:
    place, last = killed[0].split(":"), int(killed[1])
    module, calls = importlib.import_module(place[0]), []
    before = getattr(module, place[1])
    def until_killed(*arguments, **settings):
        calls.append(1)
        if len(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **settings)
    setattr(module, place[1], until_killed)
trained, _ = t.run(t.parts.__wrapped__(), FileCheckpoint(Path(folder) / "checkpoint.safetensors"))
weights = {name: value.numpy() for name, value in trained.weights["last"].items()}
write_weights(Path(folder) / "result.safetensors", weights)
"""


@pytest.mark.slow
def test_a_process_that_was_killed(tmp_path: Path) -> None:
    """Once when a checkpoint is written but not in its place, once in the middle of an epoch."""

    def train_in(folder: str, *killed: str) -> int:
        command = [sys.executable, "-c", SCRIPT, str(ROOT), str(tmp_path / folder), *killed]
        return subprocess.run(command, check=False).returncode

    def epochs() -> int:
        saved = FileCheckpoint(tmp_path / "stopped" / "checkpoint.safetensors").load()
        return 0 if saved is None else len(saved["history"])

    assert train_in("whole") == 0
    assert train_in("stopped", "os:replace", "2") == -signal.SIGKILL
    assert epochs() == 1
    # On a CPU images are made batch by batch, three an epoch: the fifth is in the second epoch that this
    # process trains. For a GPU an epoch's are made at once, and its checkpoint follows the next one's steps.
    made = "5" if DEVICE == "cpu" else "3"
    assert train_in("stopped", "eos.training.epoch:crop", made) == -signal.SIGKILL
    assert epochs() == 2
    assert train_in("stopped") == 0
    whole, stopped = (tmp_path / name / "result.safetensors" for name in ("whole", "stopped"))
    same_files(whole, stopped, of_training=True)
