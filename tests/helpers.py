"""What tests of several subjects share: the repository's root, its parameters, the device, comparisons."""

import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from safetensors.numpy import load_file

from eos.config.loading import load
from eos.config.schema import EmbeddingSet, Parameters
from eos.heads.softmax import HeadConfig
from eos.training.config import TrainConfig

if TYPE_CHECKING:  # it loads torch, which most tests do without
    from eos.training.loop import Trained

ROOT = Path(__file__).parents[1]

# Where the tests compute whose subject is not the device; conftest.py refuses other values.
DEVICE = os.environ.get("EOS_TEST_DEVICE", "cpu")

# What two equal computations on a GPU may differ by; see `same`.
GPU_RTOL, GPU_ATOL = 1e-3, 1e-3

# And the losses of two equal trainings there. Measured on a CPU with other convolution code, the small
# trainings of the tests drift apart by up to 0.025 in a loss and by 0.4 in a weight; of mixtures another seed
# changed them by 0.29 and 2.7.
GPU_LOSS_RTOL = 0.05


@cache
def parameters() -> Parameters:
    """Return the repository's own params.yaml, read once."""
    return load(ROOT / "params.yaml")


def with_embeddings(**changes: Any) -> Parameters:
    """Return the parameters with a set of embeddings, "plants", of the networks `ce` and `dinov2`."""
    definition: dict[str, Any] = {
        "networks": {"ce": "ce.npz", "dinov2": "dinov2.npz"},
        "heads": ("own", "smote", "eos"),
        "test_share": None,
        "seed": 0,
        "standardize": False,
        "portable": True,
    }
    own = EmbeddingSet.model_validate(definition | changes)
    axes = parameters().axes.model_copy(update={"embeddings": ("plants",)})
    return parameters().model_copy(update={"axes": axes, "embeddings": {"plants": own}})


def given(kind: str, name: str) -> dict[str, Any]:
    """Return what params.yaml gives to a registered name: nothing where it does not use the name.

    `kind` is "sampler", "classifier", "pixel sampler", "generator", "loss", "mixing" or "augmentation"; of
    several definitions the first counts.
    """
    known = parameters()
    definitions, tag = {
        "sampler": ([head for head in known.heads.values() if not hasattr(head, "classifier")], "sampler"),
        "classifier": ([head for head in known.heads.values() if hasattr(head, "classifier")], "classifier"),
        "pixel sampler": (list(known.pixel_samplers.values()), "sampler"),
        "generator": (list(known.generators.values()), "model"),
        "loss": ([network.loss for network in known.networks.values()], "name"),
        "augmentation": (
            [one for network in known.networks.values() for one in network.augmentations],
            "name",
        ),
        "mixing": ([network.mixing for network in known.networks.values() if network.mixing], "name"),
    }[kind]
    found = [one for one in definitions if getattr(one, tag) == name]
    # What a generator's definition has for networks on its images is none of its parameters.
    settings: dict[str, Any] = found[0].model_dump(exclude={tag, "synthetic_from"}) if found else {}
    return settings


def train_config(**changes: Any) -> TrainConfig:
    """Return how params.yaml trains a network in general, with some values changed.

    On a GPU in float32 where `changes` name no precision: "auto" would be bfloat16, in which two trainings
    drift apart faster than `same` allows.
    """
    general = parameters().training.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"})
    if DEVICE == "cuda":
        general["precision"] = "fp32"
    return TrainConfig(**general | changes)


def head_config(**changes: Any) -> HeadConfig:
    """Return how params.yaml trains a head, with some values changed."""
    general = parameters().head_training.model_dump(exclude={"curve_epochs", "seeds"})
    return HeadConfig(**general | changes)


def same(one: ArrayLike, other: ArrayLike, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Assert that two computations of the same thing gave the same: on a CPU the same bytes.

    On a GPU within `GPU_RTOL` and `GPU_ATOL`, whole numbers (rounded pixels) within 1. PyTorch is asked for
    deterministic algorithms there with `warn_only`: an operation that has none, such as one that adds with
    atomics, runs all the same, and its sums are in another order from run to run. cuDNN and cuBLAS choose
    their algorithms by shape and free memory, which batches and captured steps change, backward convolutions
    among them. A training multiplies such differences; see `same_training`.

    Parameters
    ----------
    one, other : array-like
        Numbers; tensors of the CPU too.
    rtol, atol : float, default=0
        Where the results may differ on a CPU already; a GPU gets its own tolerance where that is larger.

    Raises
    ------
    AssertionError
        If they differ by more, or in shape or type.
    """
    first, second = np.asarray(one), np.asarray(other)
    assert (first.shape, first.dtype) == (second.shape, second.dtype)
    if DEVICE == "cuda":
        whole = first.dtype.kind in "iu"
        rtol, atol = max(rtol, GPU_RTOL), max(atol, 1.0 if whole else GPU_ATOL)
        # Of unsigned bytes a difference would wrap around.
        first, second = first.astype(np.float64), second.astype(np.float64)
    if rtol or atol:
        np.testing.assert_allclose(first, second, rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(first, second)
        assert first.tobytes() == second.tobytes()


def same_losses(one: list[float], other: list[float]) -> None:
    """Assert that the losses of two equal trainings are equal, on a GPU within `GPU_LOSS_RTOL`."""
    same(one, other, rtol=GPU_LOSS_RTOL if DEVICE == "cuda" else 0.0)


def same_training(one: "Trained", other: "Trained") -> None:
    """Assert that two trainings had the same epochs and made the same weights: on a CPU the same bytes.

    On a GPU the losses have to agree within `GPU_LOSS_RTOL`, and the weights in name and shape. Their values
    drift apart by more than a fault would change them, and a score, with it the epoch that a selection rule
    chooses, jumps by whole images where rounding turns one prediction.
    """
    histories = [[replace(record, seconds=0) for record in trained.history] for trained in (one, other)]
    if DEVICE == "cpu":
        assert one.epochs == other.epochs
        assert histories[0] == histories[1]
    told = [[(record.epoch, record.learning_rate) for record in history] for history in histories]
    assert told[0] == told[1]
    same_losses(*([record.loss for record in history] for history in histories))
    assert one.weights.keys() == other.weights.keys()
    for rule, weights in one.weights.items():
        assert weights.keys() == other.weights[rule].keys()
        for name, value in weights.items():
            assert value.shape == other.weights[rule][name].shape
            if DEVICE == "cpu":
                same(value, other.weights[rule][name])


def same_files(one: Path, other: Path, *, of_training: bool = False) -> None:
    """Assert that two files are the same: on a CPU their bytes; on a GPU their numbers, as `same` has it.

    Files are safetensors, npz or text; of text, what stands between the numbers has to be equal. The numbers
    of a training (`of_training`) drift apart there, see `same_training`, and are not compared.
    """
    if DEVICE == "cpu":
        assert one.read_bytes() == other.read_bytes(), one
    elif one.suffix in (".npz", ".safetensors"):
        read: Any = np.load if one.suffix == ".npz" else load_file
        first, second = (dict(read(path)) for path in (one, other))
        assert first.keys() == second.keys()
        for name, value in first.items():
            if value.dtype.kind in "US":
                np.testing.assert_array_equal(value, second[name])
            elif of_training:
                assert (value.shape, value.dtype) == (second[name].shape, second[name].dtype)
            else:
                same(value, second[name])
    else:
        number = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
        texts = [path.read_text() for path in (one, other)]
        between = [number.split(text) for text in texts]
        assert between[0] == between[1]
        if not of_training:
            same(*([float(found) for found in number.findall(text)] for text in texts))
