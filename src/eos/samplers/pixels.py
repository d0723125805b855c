"""Over-sampling in pixel space: the samplers of embeddings on flattened images, before any training.

Table I of the paper compares it with the same samplers on embeddings.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from eos.registry import PIXEL_SAMPLERS
from eos.samplers.oversampling import Oversampled, Resampled, oversample, smote


def oversample_images(
    name: str, images: np.ndarray, labels: np.ndarray, *, random_state: int, **parameters: Any
) -> Oversampled:
    """Bring every class to the size of the largest with synthetic images.

    The sampler works on the pixels of each image as one row of numbers. Its synthetic rows are rounded and
    cut off at 0 and 255.

    Parameters
    ----------
    name : str
        A name in `eos.registry.PIXEL_SAMPLERS`.
    images : ndarray of uint8, shape (n, height, width, channels)
    labels : ndarray of int, shape (n,)
    random_state : int
        The seed.
    **parameters
        Of the sampler, as registered.

    Returns
    -------
    Oversampled
        Its `features` are the synthetic images, uint8 of shape (m, height, width, channels).

    Raises
    ------
    InputError
        If the sampler is unknown, or a class is too small for it.
    """
    rows = images.reshape(len(images), -1).astype(np.float32)
    balanced = oversample(
        name, rows, labels, random_state=random_state, samplers=PIXEL_SAMPLERS, **parameters
    )
    pixels = np.rint(balanced.features.clip(0, 255)).astype(np.uint8)
    return replace(balanced, features=pixels.reshape(-1, *images.shape[1:]))


def balanced_svm(
    rows: np.ndarray, labels: np.ndarray, seed: int, *, k_neighbors: int, components: int, svm_rows: int
) -> Resampled:
    """Run SMOTE on pixels, then label its rows by a support-vector machine on principal components.

    A support-vector machine on tens of thousands of pixel rows takes hours: it sees the `components`
    (principal ones, of the real images), and is fitted to `svm_rows` rows at most, drawn at random.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from threadpoolctl import threadpool_limits

    every, new_labels = smote(rows, labels, seed, k_neighbors=k_neighbors)
    if len(every) == len(rows):
        return every, new_labels
    kept = min(components, *rows.shape)
    if kept < components:
        warnings.warn(
            f"components was reduced from {components} to {kept}, because there are {len(rows)} images of "
            f"{rows.shape[1]} values",
            stacklevel=1,
        )
    with threadpool_limits(limits=1):  # more of them would add up in another order
        axes = PCA(kept, svd_solver="covariance_eigh").fit(rows)
        scores = axes.transform(every)
    fitted = np.arange(len(scores))
    if len(scores) > svm_rows:
        fitted = _stratified(new_labels, svm_rows, seed)
        warnings.warn(f"the SVM was fitted to {len(fitted)} of {len(scores)} rows", stacklevel=1)
    svm = make_pipeline(StandardScaler(), SVC()).fit(scores[fitted], new_labels[fitted])
    new_labels[len(rows) :] = svm.predict(scores[len(rows) :])
    return every, new_labels


def _stratified(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return about `size` rows, of every class the same share but at least one."""
    random = np.random.default_rng(seed)
    share = size / len(labels)
    members_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    chosen = [random.permutation(rows)[: max(1, round(share * len(rows)))] for rows in members_of]
    return np.sort(np.concatenate(chosen))
