"""A classifier that was exported, at work."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from eos.classifier.folder import BACKBONE, DESCRIPTION, HEAD, read_arrays, read_description
from eos.errors import InputError, unknown_name
from eos.heads.rules import unit_rows
from eos.heads.softmax import logits as linear

Inputs = np.ndarray | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_DEVICES = ("auto", "cpu", "cuda")
INSTALL = "install what prediction needs: pip install 'eos-imbalanced[predict]'"


def load(folder: str | os.PathLike[str], *, device: str | None = None) -> "Classifier":
    """Read a classifier that `python -m eos export` wrote; every file's digest is checked.

    Its logits are those of the pipeline bit for bit where all of this is the same: the machine, the versions
    of the libraries (`description["versions"]`), the number of torch's threads, and the images, all of them
    in one call and in the same order, because batches of another size may be summed in another order. For a
    portable data set (`description["computing"]`) the processor switches have to be set as well before NumPy
    and torch are loaded, by `eos.pipeline.processor.hold_to_portable_code()`; `python -m eos predict` does
    that. Otherwise the last digits may differ.

    Parameters
    ----------
    folder : str or path
        Where the classifier is.
    device : {"auto", "cpu", "cuda"}, optional
        Where to compute; by default what the pipeline was told.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        If the folder holds no classifier, or a file of it is missing, damaged or not what it should be.
    ModuleNotFoundError
        If a library is missing that prediction needs.
    """
    if not isinstance(folder, str | os.PathLike):
        raise InputError(f"folder: {folder!r} is no path; name a folder that `python -m eos export` wrote")
    place = Path(folder)
    try:
        description = read_description(place)
    except OSError as error:  # a name that no file can have, a folder that may not be read
        raise InputError(f"folder: {error.strerror}: {place!s:.200}; name another") from error
    try:
        head = read_arrays(place, HEAD, description)
        backbone = read_arrays(place, BACKBONE, description) if description["backbone"] else None
        return Classifier(description, head, backbone, device=device)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"eos.load: no library {error.name!r}; {INSTALL}", name=error.name
        ) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{place / DESCRIPTION}: does not describe a classifier ({error!r})") from error


class Classifier:
    """A backbone and a head, or a head alone, with the names of the classes.

    `load` makes one. Its methods take images: an array of uint8 of shape (n, size, size, channels), or paths
    of pictures, which are turned, cropped to a square and resized as the pipeline does it. A classifier
    of given embeddings has no backbone and takes features, of shape (n, n_features), instead.

    Parameters
    ----------
    description : mapping
        See `eos.classifier.folder.KEYS`.
    head : mapping of str to ndarray
        `weight` (n_classes, n_features) and, if it is a linear classifier, `bias` (n_classes,), float32.
        Where it takes features and standardizes them first, also their `mean` and `deviation` (n_features,);
        where the head sees features centred and at unit length, `center` (n_features,).
    backbone : mapping of str to ndarray, optional
        Its state dict.
    device : {"auto", "cpu", "cuda"}, optional
        Where to compute.

    Attributes
    ----------
    class_names : list of str
        In the order of the columns of logits and probabilities.
    n_features : int
        Length of one embedding.
    description : mapping
        What it was trained on, its scores, and what it needs.

    Raises
    ------
    InputError
        If the arrays are not those that the description tells of.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        head: Mapping[str, np.ndarray],
        backbone: Mapping[str, np.ndarray] | None = None,
        *,
        device: str | None = None,
    ) -> None:
        self.description = description
        self.class_names: list[str] = list(description["class_names"])
        self.n_features: int = description["n_features"]
        self._head = dict(head)
        if device is not None and device not in _DEVICES:
            raise unknown_name(device, _DEVICES, what="device", place="device")
        self._device: str = description["computing"]["device"] if device is None else device
        self._network: Any = None
        kind, size = description["head"]["classifier"], len(self.class_names)
        expected = {"weight": (size, self.n_features)} | ({"bias": (size,)} if kind == "linear" else {})
        if "mean" in head and backbone is None:
            expected |= {"mean": (self.n_features,), "deviation": (self.n_features,)}
        if "center" in head:
            expected |= {"center": (self.n_features,)}
        shapes = {name: array.shape for name, array in head.items()}
        if shapes != expected or any(array.dtype != np.float32 for array in head.values()):
            raise InputError(f"{HEAD}: holds {shapes}, not {expected}, in float32; export it again")
        if backbone is not None:
            import torch

            from eos.models.inference import load_network

            layer = {name: value for name, value in head.items() if name != "center"}
            layers = {"backbone": backbone, "classifier": layer}
            self._network = load_network(
                {
                    f"{part}.{name}": torch.from_numpy(value)
                    for part, values in layers.items()
                    for name, value in values.items()
                },
                description["backbone"]["architecture"],
                channels=description["backbone"]["channels"],
                n_classes=size,
                classifier=kind,
                branches=description["backbone"]["branches"],
            )

    def embed(self, inputs: Inputs) -> np.ndarray:
        """Return what the head sees, float32 (n, n_features): embeddings, or features, standardized."""
        return self._extract(inputs)[0]

    def logits(self, inputs: Inputs) -> np.ndarray:
        """Return the outputs of the head, float32 of shape (n, n_classes), as the pipeline computes them."""
        features, own = self._extract(inputs)
        # The network's own classifier is part of it; a retrained head is NumPy's work.
        if own is not None and self.description["head"]["own"]:
            return own
        if "center" in self._head:
            features = unit_rows(features, self._head["center"])
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = linear(features, self._head["weight"], self._head["bias"])
        if not np.isfinite(outputs).all():
            raise InputError(
                f"inputs: outputs of features as large as {np.abs(features).max():g} overflow float32; scale "
                "them as those of the training were"
            )
        return outputs

    def predict_proba(self, inputs: Inputs) -> np.ndarray:
        """Return the softmax of the logits, float64 of shape (n, n_classes).

        These are not calibrated: networks are surer than they are right, and a head that was fitted to
        balanced rows knows nothing of how frequent the classes are. Of a cosine classifier the logits are
        multiplied by the loss's scale first, as in training.
        """
        scale = self.description["head"]["scale"]
        return softmax(scale * self.logits(inputs).astype(np.float64), axis=1)

    def predict(self, inputs: Inputs) -> np.ndarray:
        """Return the name of the class with the largest logit, text of shape (n,)."""
        return np.array(self.class_names)[self.logits(inputs).argmax(axis=1)]

    def _extract(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the embeddings, and what the network's last layer makes of them where there is a network."""
        if self._network is None:
            return self._features(inputs), None
        from eos.models.devices import pick_device, repeated_precision
        from eos.models.inference import extract

        known, images = self.description["backbone"], self._images(inputs)
        with warnings.catch_warnings():
            # torch warns of arrays that cannot be written to. Nothing writes to these.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
            return extract(
                self._network,
                images,
                known["mean"],
                known["std"],
                device=self._device,
                precision=repeated_precision(
                    self.description["computing"]["precision"], pick_device(self._device)
                ),
            )

    def _features(self, inputs: Any) -> np.ndarray:
        features = _array(inputs)
        wanted = f"features of shape (n, {self.n_features}), n at least 1"
        if features.ndim != 2 or features.shape[1] != self.n_features or not len(features):
            raise InputError(f"inputs: an array of shape {features.shape}; this classifier takes {wanted}")
        given = features.dtype
        if given.kind in "fiu":
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                features = features.astype(np.float32, copy=False)
        if given.kind not in "fiu" or not np.isfinite(features).all():
            raise InputError(
                f"inputs: {given} with values that are no numbers, or too large for float32; give finite "
                f"{wanted}"
            )
        if "mean" in self._head:
            given_largest = np.abs(features).max()
            with np.errstate(over="ignore"):
                features = (features - self._head["mean"]) / self._head["deviation"]
            if not np.isfinite(features).all():
                raise InputError(
                    f"inputs: features as large as {given_largest:g} overflow float32 when they are "
                    "standardized; scale them as the training rows were"
                )
        return features

    def _images(self, inputs: Any) -> np.ndarray:
        size, channels = (self.description["backbone"][key] for key in ("image_size", "channels"))
        if isinstance(inputs, str | os.PathLike):
            inputs = [inputs]
        listed_paths = isinstance(inputs, Sequence) or getattr(inputs, "ndim", None) == 1
        if listed_paths and len(inputs) > 0 and all(isinstance(one, str | os.PathLike) for one in inputs):
            from eos.data.image_files import listed, read_paths

            inputs = list(inputs)
            images, bad = read_paths(inputs, image_size=size, channels=channels)
            if bad:
                told = listed([f"{inputs[row]}: {reason}" for row, reason in bad.items()], separator="\n  ")
                raise InputError(f"{len(bad)} of {len(inputs)} pictures cannot be read:\n  {told}")
            return images
        images = _array(inputs)
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, channels) or not len(images):
            raise InputError(
                f"inputs: an array of {images.dtype} of shape {images.shape}; this classifier takes uint8 of "
                f"shape (n, {size}, {size}, {channels}), n at least 1, or paths of pictures, which it resizes"
            )
        # torch takes no views that run backwards.
        return np.ascontiguousarray(images) if min(images.strides) < 0 else images


def _array(inputs: Any) -> np.ndarray:
    try:
        return np.asarray(inputs)
    except ValueError as error:  # rows of several lengths, paths beside arrays
        raise InputError(f"inputs: no array ({error}); give all of one kind and shape") from error
