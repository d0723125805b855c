"""Embeddings that were made elsewhere, brought into the form that those of our networks have."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eos.data.embeddings_files import PARTS, Group, Rows, Stored, open_embeddings
from eos.data.splits import hold_out
from eos.errors import InputError, placed

TRAIN, VALIDATION, TEST = range(3)
# Root mean squares of features that the heads' learning rate suits; unit vectors of 768 features have 0.036.
USUAL_SCALE = 0.1, 10.0


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of one network, in float32.

    Attributes
    ----------
    features : dict of str to ndarray of shape (n, d)
        By part: "train", "validation" (which may have no rows), "test".
    labels : dict of str to ndarray of int, shape (n,)
        Classes 0 to C-1; each has a training row.
    logits : dict of str to ndarray of shape (n, C)
        Of the network's own classifier. (n, 0) where the file has none, NaN for a part whose logits it lacks.
    weight : ndarray of shape (C, d)
        Of that classifier; NaN where the file has logits only, (0, d) where it has none.
    bias : ndarray of shape (C,)
        Of that classifier, in the same way; zeros where the file has a weight alone.
    mean, deviation : ndarray of shape (d,)
        What the features were standardized by; 0 and 1 where they were not.
    class_names : tuple of str
        In the order of the classes.
    dtype : str
        What the features were stored as.
    told : tuple of str
        What was done that the reader should know.
    """

    features: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    logits: dict[str, np.ndarray]
    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    class_names: tuple[str, ...]
    dtype: str
    told: tuple[str, ...]


def read_embeddings(
    path: Path, *, test_share: float | None, validation_fraction: float, seed: int, standardize: bool
) -> Embeddings:
    """Read a file of embeddings.

    Integer labels are numbers of `class_names` where the file has these; without them the classes are the
    training labels, sorted.

    Parameters
    ----------
    path
        A file as `eos.data.embeddings_files.open_embeddings` takes it.
    test_share
        The share of every class's training rows that is held out where the file has no test rows; None to ask
        for test rows.
    validation_fraction
        The same of validation rows, of what is then left; 0 for none.
    seed
        Picks the rows.
    standardize
        Bring each feature to mean 0 and deviation 1 over the training rows, and the classifier's weight to
        these features.

    Raises
    ------
    InputError
        If the file cannot be used: it is damaged, widths or lengths do not match, a value is NaN, infinite or
        too large for float32, a label is missing, a class has no training rows, …
    """
    stored = open_embeddings(path)
    with placed(str(path)):
        parts = np.concatenate([group.parts for group in stored.groups])
        if not (parts == TRAIN).any():
            raise InputError(f"{stored.groups[0].name}: there are no training rows; add some")
        names, labels = _classes(stored)
        told = [f"not used: {', '.join(stored.unused)}"] if stored.unused else []
        if not (parts == TEST).any():
            if test_share is None:
                raise InputError(
                    "has no test rows, and test_share is null; add some, or set test_share to 0.2, say"
                )
            told.append(_hold_out(parts, labels, test_share, TEST, names, seed=seed))
        if validation_fraction and not (parts == VALIDATION).any():
            told.append(_hold_out(parts, labels, validation_fraction, VALIDATION, names, seed=seed))
        features = _gathered([group.features for group in stored.groups], parts)
        weight, bias = _classifier(stored, len(names), features["train"].shape[1])
        logits = _logits(stored, parts, len(names))
        if logits is None and any(group.logits is not None for group in stored.groups):
            told.append("logits are not used: there are none of the test rows")
        if logits is None and weight is not None:
            logits = {part: rows @ weight.T + bias for part, rows in features.items()}
        elif logits is None:
            logits = {part: rows[:, :0] for part, rows in features.items()}
        n_outputs, width = logits["test"].shape[1], features["train"].shape[1]
        if weight is None or n_outputs == 0:
            weight = np.full((n_outputs, width), np.nan, dtype=np.float32)
            bias = np.full(n_outputs, np.nan, dtype=np.float32)
        mean, deviation = np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32)
        if standardize:
            mean, deviation = _standardized(features)
            bias, weight = bias + weight @ mean, weight * deviation
        else:
            told += _scale_warning(features["train"])
        return Embeddings(
            features,
            {part: labels[parts == number] for number, part in enumerate(PARTS)},
            logits,
            weight,
            bias,
            mean,
            deviation,
            names,
            stored.groups[0].features.dtype.name,
            tuple(told),
        )


def _classes(stored: Stored) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes, and the number of every row's."""
    given = [_plain(group) for group in stored.groups]
    kinds = {labels.dtype.kind for labels in given}
    if len(kinds) > 1:
        told = ", ".join(f"{group.name} of {group.labels.dtype}" for group in stored.groups)
        raise InputError(f"labels of several kinds ({told}); give numbers everywhere, or text everywhere")
    labels = np.concatenate(given)
    parts = np.concatenate([group.parts for group in stored.groups])
    if stored.class_names is None:
        classes = np.unique(labels[parts == TRAIN])
        names = _names(np.array([str(label) for label in classes.tolist()], dtype=np.str_))
    else:
        names = _names(stored.class_names)
        classes = np.array(names) if kinds == {"U"} else np.arange(len(names))
    if len(names) < 2:
        raise InputError(f"{len(names)} class among the training labels; a classifier needs two or more")
    order = np.argsort(classes, kind="stable")
    numbers = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    unknown = np.flatnonzero(classes[numbers] != labels)
    if unknown.size:
        there = "a class without training rows" if stored.class_names is None else "none of class_names"
        raise InputError(
            f"{_name_at(stored.groups, unknown[0])}: {labels[unknown[0]].item()!r} is {there} "
            f"({unknown.size} such rows); drop these, or correct the labels"
        )
    counts = np.bincount(numbers[parts == TRAIN], minlength=len(names))
    if counts.min() == 0:
        empty = names[int(counts.argmin())]
        raise InputError(f"class {empty!r} has no training rows; add some, or drop the class everywhere")
    return names, numbers


def _plain(group: Group) -> np.ndarray:
    """Return labels as int64 or as text, one per row of features."""
    labels, n_rows = group.labels, group.features.shape[0]
    if labels.shape != (n_rows,):
        raise InputError(
            f"{group.name}: shape {labels.shape}; give one label per row of {group.features.name}, shape "
            f"({n_rows},)"
        )
    kind = labels.dtype.kind
    if kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{group.name}: text that is not UTF-8 ({error}); save it as text") from error
    if kind == "f" and (not np.isfinite(labels).all() or (labels != np.rint(labels)).any()):
        row = int(np.flatnonzero(~np.isfinite(labels) | (labels != np.rint(labels)))[0])
        raise InputError(
            f"{group.name}: {labels[row].item()} in row {row} is missing or no whole number; give whole "
            "numbers or text"
        )
    if kind not in "bfiuU":
        raise InputError(f"{group.name}: of type {labels.dtype}; give whole numbers or text")
    if kind in "fu" and (far := np.flatnonzero((labels >= 2.0**63) | (labels < -(2.0**63)))).size:
        raise InputError(
            f"{group.name}: {labels[far[0]].item()} in row {far[0]} is too large; give int64 or text"
        )
    return labels if kind == "U" else labels.astype(np.int64)


def _names(names: np.ndarray) -> tuple[str, ...]:
    """Return the names of classes, if they can stand in a table."""
    if names.ndim != 1 or names.dtype.kind != "U":
        raise InputError(
            f"class_names: a {names.dtype} array of shape {names.shape}; give a text for each class"
        )
    listed = [str(name) for name in names]
    met: set[str] = set()
    for name in listed:
        if not name.strip() or not name.isprintable():
            raise InputError(f"class name {name!r} is blank or has control characters; give another")
        shown = unicodedata.normalize("NFC", name)  # an accent by itself or with its letter: they look alike
        if shown in met:
            raise InputError(
                f"class_names: {name!r} is there twice; name each class once, its accents written in one way"
            )
        met.add(shown)
    return tuple(listed)


def _name_at(groups: list[Group], row: int) -> str:
    for group in groups:
        if row < len(group.labels):
            return f"{group.name}, row {row}"
        row -= len(group.labels)
    raise IndexError(row)


def _hold_out(
    parts: np.ndarray, labels: np.ndarray, share: float, target: int, names: tuple[str, ...], *, seed: int
) -> str:
    """Move a share of every class's training rows to another part, in place; return what to say of it."""
    rows = np.flatnonzero(parts == TRAIN)
    counts = np.bincount(labels[rows], minlength=len(names))
    if counts.min() < 2:
        single = names[int(counts.argmin())]
        raise InputError(
            f"class {single!r} has one training row, and of every class {PARTS[target]} rows have to "
            f"be held out; add {PARTS[target]} rows to the file, or drop the class"
        )
    held = rows[hold_out(labels[rows], share, seed)]
    parts[held] = target
    return f"{len(held)} of {len(rows)} training rows are held out as {PARTS[target]} rows"


def _gathered(sources: list[Rows], parts: np.ndarray) -> dict[str, np.ndarray]:
    """Read matrices whose rows follow one another, in float32, the rows of each part by themselves."""
    width, first = sources[0].shape[1], sources[0].name
    for source in sources:
        if source.shape[1] != width:
            raise InputError(
                f"{source.name}: {source.shape[1]} columns, but {first} has {width}; give rows of one network"
            )
    counts = np.bincount(parts, minlength=len(PARTS))
    rooms = [np.empty((count, width), dtype=np.float32) for count in counts]
    filled, done = [0] * len(PARTS), 0
    for source in sources:
        start = 0
        for block in source.blocks():
            with np.errstate(over="ignore"):
                rows = block.astype(np.float32, copy=False)
            if (unusable := np.flatnonzero(~np.isfinite(rows).all(axis=1))).size:
                raise InputError(
                    f"{source.name}: row {start + unusable[0]} holds NaN, infinity or a value too large for "
                    "float32; repair or drop such rows"
                )
            codes = parts[done : done + len(rows)]
            for number, room in enumerate(rooms):
                chosen = rows[codes == number]
                room[filled[number] : filled[number] + len(chosen)] = chosen
                filled[number] += len(chosen)
            start, done = start + len(rows), done + len(rows)
    return dict(zip(PARTS, rooms, strict=True))


def _standardized(features: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Standardize the features in place, by the training rows; return the means and the deviations, (d,)."""
    mean = features["train"].mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = features["train"].std(axis=0, dtype=np.float64).astype(np.float32)
    deviation[deviation == 0] = 1  # a constant feature
    for part, rows in features.items():
        np.subtract(rows, mean, out=rows)
        with np.errstate(over="ignore"):
            np.divide(rows, deviation, out=rows)
        if (broken := np.flatnonzero(~np.isfinite(rows).all(axis=0))).size:
            raise InputError(
                f"feature {broken[0]}: its deviation over training rows is {deviation[broken[0]]:.2g}, and "
                f"{part} rows standardized by it are infinite; drop that feature, or set standardize to false"
            )
    return mean, deviation


def _scale_warning(rows: np.ndarray) -> list[str]:
    """Say so where the recipe of the heads does not suit the features."""
    scale = float(np.sqrt(np.mean([np.square(row, dtype=np.float64).mean() for row in rows])))
    low, high = USUAL_SCALE
    if low <= scale <= high:
        return []
    return [
        f"WARNING: the root mean square of the features is {scale:.2g}; heads are trained by a recipe for "
        "about 1, and may end near chance: set standardize to true"
    ]


def _classifier(stored: Stored, n_classes: int, width: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the weight and the bias of the network's classifier; no bias is zero."""
    bias = np.zeros(n_classes) if stored.bias is None else stored.bias
    given = {
        "classifier_weight": (stored.weight, (n_classes, width)),
        "classifier_bias": (bias, (n_classes,)),
    }
    for name, (array, shape) in given.items():
        if array is not None and (array.shape != shape or array.dtype.kind not in "fiu"):
            raise InputError(
                f"{name}: a {array.dtype} array of shape {array.shape}; give numbers of shape {shape}, for "
                f"{n_classes} classes and {width} features"
            )
    with np.errstate(over="ignore"):
        weight = None if stored.weight is None else stored.weight.astype(np.float32)
        bias = bias.astype(np.float32)
    for name, array in (("classifier_weight", weight), ("classifier_bias", bias)):
        if array is not None and not np.isfinite(array).all():
            raise InputError(
                f"{name}: holds NaN, infinity or a value too large for float32; leave it out, or give the "
                "right one"
            )
    return weight, bias


def _logits(stored: Stored, parts: np.ndarray, n_classes: int) -> dict[str, np.ndarray] | None:
    """Return the logits by part, NaN for a part that has none; None where test rows have none."""
    sources, covered = [], []
    for group in stored.groups:
        covered.append(np.full(len(group.parts), group.logits is not None))
        if group.logits is not None:
            expected = group.features.shape[0], n_classes
            if group.logits.shape != expected:
                raise InputError(
                    f"{group.logits.name}: shape {group.logits.shape}; give a row per row of "
                    f"{group.features.name}, a column per class in the order of class_names (without these, "
                    f"of the sorted labels): shape {expected}"
                )
            sources.append(group.logits)
    having = np.concatenate(covered)
    if not having[parts == TEST].all():
        return None
    logits = _gathered(sources, parts[having])
    for number, part in enumerate(PARTS):
        count = int((parts == number).sum())
        if len(logits[part]) != count:
            logits[part] = np.full((count, n_classes), np.nan, dtype=np.float32)
    return logits
