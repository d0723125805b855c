"""Training: what is kept, and that it learns, repeatably."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, f1_score

from eos.errors import InputError
from eos.models.inference import extract, load_network
from eos.registry import LOSSES
from eos.training.augmentation import normalization_of
from eos.training.config import learning_rate
from eos.training.epoch import batches_of
from eos.training.loop import EpochRecord, Images, Trained, train
from tests.helpers import DEVICE, GPU_LOSS_RTOL, given, same, same_training, train_config

SMALL = train_config(epochs=3, batch_size=16, crop_padding=1, horizontal_flip=False)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    source = load_digits()
    images = (source.images * 15).astype(np.uint8)[..., np.newaxis]
    return images, source.target.astype(np.int64)


@pytest.fixture
def parts(digits: tuple[np.ndarray, np.ndarray]) -> list[Images]:
    """40 training, 30 test and 20 validation images of three classes."""
    images, labels = digits
    rows = np.flatnonzero(labels < 3)
    return [Images(images[part], labels[part]) for part in (rows[:40], rows[40:70], rows[70:90])]


def run(train_part: Images, test_part: Images, **options: Any) -> Trained:
    settings: dict[str, Any] = {
        "n_classes": 3,
        "architecture": "resnet8",
        "loss": "ce",
        "config": SMALL,
        "device": DEVICE,
    }
    settings |= options
    settings.setdefault("loss_parameters", given("loss", settings["loss"]))
    return train(train_part, test_part, **settings)


def test_learns_digits(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    result = train(
        Images(images[:300], labels[:300]),
        Images(images[300:500], labels[300:500]),
        n_classes=10,
        architecture="resnet8",
        loss="ce",
        config=replace(SMALL, epochs=5, batch_size=32),
        device=DEVICE,
    )
    losses = [record.loss for record in result.history]
    assert losses[-1] < 0.4 * losses[0]
    assert (result.history[-1].test_BAC or 0) > 0.5
    assert result.history[-1].train_BAC > result.history[0].train_BAC + 0.2


@pytest.mark.parametrize("loss", LOSSES)
def test_same_seed_same_bytes(loss: str, parts: list[Images]) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = run(*parts[:2], loss=loss)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    two = run(*parts[:2], loss=loss)
    other = run(*parts[:2], loss=loss, config=replace(SMALL, seed=1))
    same_training(one, two)
    key = next(name for name in one.weights["last"] if name.endswith("conv1.weight"))
    assert not torch.equal(one.weights["last"][key], other.weights["last"][key])


def test_records_and_weights_agree(parts: list[Images]) -> None:
    """The weights of a rule, run again, give the scores of the epoch that the rule chooses."""
    train_part, test_part, validation = parts
    seen: list[EpochRecord] = []
    result = run(
        train_part, test_part, validation=validation, config=replace(SMALL, epochs=8), on_epoch=seen.append
    )
    assert seen == result.history
    assert [record.epoch for record in seen] == list(range(1, 9))
    assert [record.learning_rate for record in seen] == [
        learning_rate(replace(SMALL, epochs=8), epoch) for epoch in range(1, 9)
    ]
    assert set(result.weights) == {"last", "test", "validation"}
    scores: dict[str, Any] = {
        "test": [r.test_FM for r in seen],
        "validation": [r.validation_FM for r in seen],
    }
    assert result.epochs == {"last": 8} | {name: 1 + int(np.argmax(fm)) for name, fm in scores.items()}
    for rule, weights in result.weights.items():
        network = load_network(weights, "resnet8", channels=1, n_classes=3)
        record = seen[result.epochs[rule] - 1]
        for name, part in {"test": test_part, "validation": validation}.items():
            _, logits = extract(network, part.images, result.mean, result.std, device=DEVICE)
            predictions = logits.argmax(axis=1)
            f1 = f1_score(part.labels, predictions, average="macro")
            assert getattr(record, f"{name}_FM") == pytest.approx(f1)
            bac = balanced_accuracy_score(part.labels, predictions)
            assert getattr(record, f"{name}_BAC") == pytest.approx(bac)
        assert all(value.is_contiguous() and value.device.type == "cpu" for value in weights.values())


@pytest.mark.parametrize(
    ("score_every", "scored"), [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6, 7]), (7, [7]), (100, [7])]
)
def test_scores_every_so_many_epochs(score_every: int, scored: list[int], parts: list[Images]) -> None:
    """Scoring less often changes nothing but which epochs the rules can choose from."""
    config = replace(SMALL, epochs=7, learning_rate=0.02)
    always = run(*parts[:2], validation=parts[2], config=config)
    result = run(*parts[:2], validation=parts[2], config=replace(config, score_every=score_every))
    for name in ("test_BAC", "test_FM", "validation_BAC", "validation_FM"):
        expected = [getattr(record, name) if record.epoch in scored else None for record in always.history]
        found = [getattr(record, name) for record in result.history]
        assert [score is None for score in found] == [score is None for score in expected]
        assert DEVICE == "cuda" or found == expected  # on a GPU rounding may turn a prediction
    for one, other in zip(result.history, always.history, strict=True):
        assert one.epoch == other.epoch
        assert DEVICE == "cuda" or one.train_BAC == other.train_BAC
        same(one.loss, other.loss)
    assert result.epochs["last"] == 7
    for rule in ("test", "validation"):
        scores = [getattr(result.history[epoch - 1], f"{rule}_FM") for epoch in scored]
        assert result.epochs[rule] == scored[int(np.argmax(scores))]
    for name, value in always.weights["last"].items():
        same(value, result.weights["last"][name])


def test_without_validation_images(parts: list[Images]) -> None:
    result = run(*parts[:2])
    assert set(result.weights) == {"last", "test"}
    assert all(r.validation_BAC is None and r.validation_FM is None for r in result.history)


def test_cosine_classifier_for_ldam(parts: list[Images]) -> None:
    weights = run(*parts[:2], loss="ldam").weights["last"]
    assert "classifier.bias" not in weights
    load_network(weights, "resnet8", channels=1, n_classes=3, classifier="cosine")


def test_loss_parameters_are_used(parts: list[Images]) -> None:
    plain = run(*parts[:2], loss="ce")
    focal = run(*parts[:2], loss="focal", loss_parameters={"gamma": 0.0})
    one, other = ([record.loss for record in trained.history] for trained in (focal, plain))
    np.testing.assert_allclose(one, other, rtol=1e-3 if DEVICE == "cpu" else GPU_LOSS_RTOL)
    assert run(*parts[:2], loss="focal").history[0].loss < 0.9 * plain.history[0].loss


def test_normalization_is_that_of_the_training_images_or_the_given_one(parts: list[Images]) -> None:
    train_part, test_part, _ = parts
    result = run(train_part, test_part)
    assert (result.mean, result.std) == normalization_of(train_part.images)
    given = run(train_part, test_part, normalization=([0.5], [0.25]))
    assert (given.mean, given.std) == ((0.5,), (0.25,))
    assert given.history[0].loss != result.history[0].loss


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (388, [128, 128, 132]),
        (431, [128, 128, 128, 47]),
        (12406, [128] * 96 + [118]),
        (129, [129]),
        (160, [128, 32]),
        (100, [100]),
        (1, [1]),
    ],
)
def test_a_small_last_batch_joins_the_one_before(rows: int, sizes: list[int]) -> None:
    batches = batches_of(torch.arange(rows), 128)
    assert [len(batch) for batch in batches] == sizes
    assert torch.equal(torch.cat(batches), torch.arange(rows))


def test_a_lone_last_image_is_trained_on(parts: list[Images]) -> None:
    """17 images of 4 x 4 pixels end as one pixel, of which batch normalisation cannot take a variance."""
    small = Images(parts[0].images[:17, 2:6, 2:6], parts[0].labels[:17])
    assert np.isfinite(run(small, small).history[-1].loss)


def test_bfloat16(parts: list[Images]) -> None:
    result = run(*parts[:2], config=replace(SMALL, precision="bf16"))
    exact = run(*parts[:2], config=replace(SMALL, precision="fp32"))
    assert (result.precision, exact.precision) == ("bf16", "fp32")
    assert result.history[0].loss == pytest.approx(exact.history[0].loss, rel=0.05)
    assert result.history[0].loss != exact.history[0].loss
    assert result.weights["last"]["classifier.weight"].dtype == torch.float32


@pytest.mark.cpu_only(reason="oneDNN's bfloat16 gradients")
@pytest.mark.parametrize("architecture", ["resnet8", "resnet18"])
def test_bfloat16_gives_the_same_bytes_whatever_lies_in_memory(
    architecture: str, parts: list[Images]
) -> None:
    """Of tiny images oneDNN can leave gradients unset; see `eos.models.torchvision_resnet`."""
    found = []
    for dirt in (0.0, float("nan")):
        for size in (10**3, 10**5, 589_824, 10**6, 2_359_296) * 2:
            torch.full((size,), dirt)  # freed at once
        result = run(*parts[:2], architecture=architecture, config=replace(SMALL, epochs=1, precision="bf16"))
        found.append(result.weights["last"])
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_divergence_is_an_error(parts: list[Images]) -> None:
    with pytest.raises(
        InputError, match=r"diverged: the loss is (nan|inf) in epoch \d+ .*lower .*learning_rate \(1e\+20\)"
    ):
        run(*parts[:2], config=replace(SMALL, learning_rate=1e20))


def test_a_last_step_that_overflows_is_an_error(parts: list[Images]) -> None:
    """The loss before it is finite, and there is no step after it to tell."""
    whole = replace(SMALL, epochs=1, warmup=0.0, batch_size=10**9, learning_rate=1e30)
    with pytest.raises(
        InputError,
        match=r"diverged: the outputs are no longer finite after epoch 1, the last; lower .* \(1e\+30\)",
    ):
        run(*parts[:2], config=whole)


def test_class_without_images(parts: list[Images]) -> None:
    train_part, test_part, _ = parts
    kept = train_part.labels != 1
    with pytest.raises(InputError, match="class 1 has no image"):
        run(Images(train_part.images[kept], train_part.labels[kept]), test_part)


def test_parts_that_do_not_fit_together(parts: list[Images]) -> None:
    train_part, test_part, _ = parts
    with pytest.raises(InputError, match=r"validation images: shape \(7, 8, 1\), but .* have \(8, 8, 1\)"):
        run(train_part, test_part, validation=Images(test_part.images[:, 1:], test_part.labels))


@pytest.mark.parametrize(("name", "value"), [("architecture", "resnet9"), ("loss", "cee"), ("device", "gpu")])
def test_unknown_names(name: str, value: str, parts: list[Images]) -> None:
    with pytest.raises(InputError, match=f"unknown {name} '{value}'"):
        run(parts[0], parts[1], **{name: value})
