"""Bad inputs to every public name of `eos`: refused with place and value, or used as they should be.

A refusal is a ValueError or a TypeError whose text matches what the case expects. What is used must give
finite numbers, those of the same input in its plain form, and leave the caller's arrays as they were: they
are given read-only. Either way there may be no RuntimeWarning, 2 GB of memory and 10 s at most.
"""

import math
import re
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch  # noqa: F401 - before memory is bounded: it may take GBs of addresses
from scipy import sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

import eos
from eos.samplers.device_neighbors import DeviceNeighbors
from tools.torture.case import Case

_SECONDS, _BYTES = 10, 2**31
_HUGE = 10**21
_NAN = math.nan

Taker = Callable[[Any, Any], tuple[Any, ...]]
Call = Callable[[], tuple[Any, ...]]
Errors = tuple[type[Exception], ...]


def cases() -> list[Case]:
    """Return the attacks."""
    return [
        *_features(),
        *_labels(),
        *_forms(),
        *_parameters(),
        *_batches(),
        *_gap(),
        *_predictions(),
        *_device_neighbors(),
        *_classifier(),
    ]


# What is attacked


def _data() -> tuple[np.ndarray, np.ndarray]:
    """Return overlapping classes of 20, 10 and 6 rows, which nobody may write to."""
    y = np.repeat([0, 1, 2], [20, 10, 6])
    X = np.random.default_rng(0).normal(size=(len(y), 4)) + y[:, np.newaxis]
    X.flags.writeable = y.flags.writeable = False
    return X, y


def _head(**parameters: Any) -> Any:
    return eos.LinearHead(**{"epochs": 3, "random_state": 0} | parameters)


def _eos_cv(**parameters: Any) -> Any:
    small = {"k_neighbors": [3, "all"], "step_size": [0.5], "cv": 2, "head": _head(), "random_state": 0}
    return eos.EOSCV(**small | parameters)


def _resampled(sampler: Any, X: Any, y: Any) -> tuple[Any, ...]:
    return clone(sampler).fit_resample(X, y)


def _fitted(classifier: Any, X: Any, y: Any) -> tuple[Any, ...]:
    model = clone(classifier).fit(X, y)
    return model.predict(X), model.decision_function(X)


def _batched(X: Any, y: Any) -> tuple[Any, ...]:
    data = eos.BalancedDataset(X, y, eos.EOS(random_state=0))
    return data[np.arange(len(data))]


SAMPLERS: dict[str, Any] = {
    "EOS": eos.EOS(random_state=0),
    "EOS by neighbors": eos.EOS(k_neighbors=3, step_size=1.0, random_state=0),
    "EOS by angles": eos.EOS(k_neighbors=3, metric="cosine", random_state=0),
    "BalancedSVM": eos.BalancedSVM(k_neighbors=3, random_state=0),
    "TailCalib": eos.TailCalib(random_state=0),
    "SWIM": eos.SWIM(random_state=0),
    "SWIM by kernels": eos.SWIM(variant="radial", random_state=0),
    "ManifoldOverSampler": eos.ManifoldOverSampler(random_state=0),
    "ManifoldOverSampler by network": eos.ManifoldOverSampler(form="autoencoder", steps=10, random_state=0),
    "RBO": eos.RBO(n_steps=20, random_state=0),
    "CCR": eos.CCR(random_state=0),
}
HEADS: dict[str, Any] = {
    "LinearHead": _head(),
    "EOSCV": _eos_cv(),
    "NearestClassMean": eos.NearestClassMean(),
    "PostHocLogitAdjustment": eos.PostHocLogitAdjustment(_head()),
    "TauNormalized": eos.TauNormalized(_head()),
}
# What takes rows and labels, by name.
TAKERS: dict[str, Taker] = {
    **{name: partial(_resampled, sampler) for name, sampler in SAMPLERS.items()},
    **{name: partial(_fitted, head) for name, head in HEADS.items()},
    "BalancedDataset": _batched,
    "generalization_gap": lambda X, y: (eos.generalization_gap(X, y, X, y),),
}
_GAP = "generalization_gap"


# What has to hold


@contextmanager
def _watched() -> Iterator[None]:
    """Raise AssertionError for a RuntimeWarning, and where the block took too long; bound its memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    told = [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]
    assert not told, f"RuntimeWarning: {told[0]}"
    seconds = time.monotonic() - start
    assert seconds < _SECONDS, f"took {seconds:.0f} s"


def _refuses(call: Callable[[], Any], told: str, errors: Errors = (ValueError, TypeError)) -> str:
    """Call, and assert that it raises one of the errors with a text that matches `told`."""
    with _watched():
        try:
            result = call()
        except errors as error:
            text = str(error)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}") from error
        else:
            raise AssertionError(f"taken: {result!s:.200}")
    assert re.search(told, text, re.DOTALL), f"{told!r} is not in: {text:.300}"
    return "refused"


def _uses(call: Call, plain: Call) -> str:
    """Call, and assert that the numbers are finite and those of the plain call."""
    with _watched():
        results = call()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted_results = plain()
    for result, expected in zip(results, wanted_results, strict=True):
        got, wanted = _dense(result), _dense(expected)
        assert got.shape == wanted.shape, f"shape {got.shape}, not {wanted.shape}"
        if wanted.dtype.kind == "f":
            assert np.isfinite(got).all(), "not finite"
            apart = np.abs(got - wanted).max()
            assert np.allclose(got, wanted, rtol=1e-5, atol=1e-6), f"differs by {apart:g}"
        else:
            assert np.array_equal(
                np.unique(got, return_inverse=True)[1], np.unique(wanted, return_inverse=True)[1]
            )
    return "used"


def _dense(array: Any) -> np.ndarray:
    dense = array.toarray() if sparse.issparse(array) else np.asarray(array)
    return dense.astype(np.float64) if dense.dtype == np.longdouble else dense


def _refused(
    name: str,
    call: Callable[[], Any],
    told: str,
    errors: Errors = (ValueError, TypeError),
    *,
    sample: bool = False,
) -> Case:
    def attack(folder: Path) -> str:
        return _refuses(call, told, errors)

    return Case("api", name, attack, sample)


def _used(name: str, call: Call, plain: Call, *, sample: bool = False) -> Case:
    def attack(folder: Path) -> str:
        return _uses(call, plain)

    return Case("api", name, attack, sample)


def _late(function: Callable[..., Any], *makes: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call of the function with what these calls make, each time anew."""
    return lambda: function(*(make() for make in makes))


# Rows


def _with(value: Any) -> np.ndarray:
    X = _rows().astype(float if isinstance(value, float) else object)
    X[3, 1] = value
    return X


def _rows() -> np.ndarray:
    return _data()[0]


def _plain() -> np.ndarray:
    return _rows().copy()


def _rows_as_list() -> list[list[float]]:
    return _rows().tolist()


def _y() -> np.ndarray:
    return _data()[1]


def _dates() -> np.ndarray:
    return np.datetime64("2020-01-01") + np.arange(36 * 4).reshape(36, 4).astype("timedelta64[D]")


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(_rows(), columns=list("abcd")).assign(**columns)


_NO_NUMBER = "X contains (NaN|infinity)|X: .* hold NaN"
# Name: what is given for X, what the estimators say, what the gap says ("" where it takes it).
BAD_FEATURES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "NaN": (lambda: _with(_NAN), _NO_NUMBER, "train_features: 1 of 36 rows .* row 3"),
    "infinity": (lambda: _with(math.inf), _NO_NUMBER, "train_features: 1 of 36 rows .* row 3"),
    "None": (lambda: _with(None), _NO_NUMBER, "train_features: a object array"),
    "text among numbers": (lambda: _with("cat"), "'cat'", "train_features: a object array"),
    "numbers as text": (lambda: _rows().astype(str), "X: holds <U", "train_features: a <U"),
    "numbers as bytes": (lambda: _rows().astype("S9"), r"X: holds \|S9", r"train_features: a \|S9"),
    "one dimension": (lambda: _rows()[:, 0], "2D array, got 1D", r"train_features: .* \(36,\)"),
    "three dimensions": (lambda: _rows()[:, :, np.newaxis], "dim 3", r"train_features: .* \(36, 4, 1\)"),
    "a number": (lambda: np.float64(3), "2D array, got scalar", r"train_features: .* \(\)"),
    "None alone": (lambda: None, "(?i)2D array, got scalar|NoneType", r"train_features: .* \(\)"),
    "a dict": (lambda: {"a": 1}, "'dict'", r"train_features: .* \(\)"),
    "no rows": (lambda: _rows()[:0], "0 sample", "train_features: there are no rows"),
    "no columns": (lambda: _rows()[:, :0], "0 feature", r"train_features: .* \(36, 0\)"),
    "a row too few": (lambda: _rows()[1:], r"\[35, 36\]", r"train_labels: shape \(36,\).*\(35,\)"),
    "rows of several lengths": (lambda: [[1, 2]] * 35 + [[1]], "inhomogeneous", "train_features: no matrix"),
    "complex": (lambda: _rows() + 1j, "Complex data", "train_features: a complex128"),
    "dates": (_dates, r"X: holds datetime64\[D\]", r"train_features: a datetime64\[D\]"),
    "a list of dates": (lambda: list(_dates()), "X: holds datetime64", "train_features: a datetime64"),
    "durations": (lambda: _dates() - _dates()[0, 0], "X: holds timedelta64", "train_features: a timedelta64"),
    "a frame with dates": (lambda: _frame(c=pd.Timestamp("2020")), "X: column 'c' holds date", "object"),
    "a frame with zoned dates": (
        lambda: _frame(c=pd.Timestamp("2020", tz="UTC")), "X: column 'c' holds datetime64.*UTC", "object",
    ),
    "a frame with durations": (lambda: _frame(c=pd.Timedelta(3)), "X: column 'c' holds timedelta", "object"),
    "a frame with text": (lambda: _frame(c="x"), "'x'", "train_features: a object array"),
    "a frame with categories": (lambda: _frame(c=pd.Categorical(["x"] * 36)), "'x'", "object array"),
    "a frame with missing values": (
        lambda: _frame(c=pd.array([1] * 35 + [None], dtype="Int64")), _NO_NUMBER, "object array",
    ),
    "a frame with a name twice": (lambda: _frame().set_axis(list("aabb"), axis=1), r"unique.*'a'", ""),
    "a frame with a number as name": (
        lambda: _frame().set_axis(["a", 1, "b", "c"], axis=1), r"\['int', 'str'\]", "",
    ),
    "a whole number beyond float64": (
        lambda: _with(10**400), "X: int too large .*; give values that", "train_features: a object array",
    ),
    "records": (
        lambda: np.zeros(36, dtype=[("a", float), ("b", float)]), r"\('a', '<f8'\)", r"features: a \[\('a'",
    ),
    "sparse with NaN": (
        lambda: sparse.csr_array(_with(_NAN)), _NO_NUMBER + "|Sparse data", "train_features: a sparse",
    ),
}  # fmt: skip
# Beyond what can be computed with: for each taker that refuses it, what it says.
_SQUARED = r"X: values as large as \S+e\+300 cannot be squared .*\(to 1e\+150"
TOO_LARGE = {
    "EOS by neighbors": _SQUARED,
    "EOS by angles": _SQUARED,
    "BalancedSVM": _SQUARED,
    "TailCalib": r"X: covariances of values as large as \S+e\+300 overflow",
    "RBO": _SQUARED,
    "CCR": _SQUARED,
    "LinearHead": r"diverged in epoch \d.* learning_rate \(0\.1\)",
    "EOSCV": _SQUARED,
    "NearestClassMean": r"X: values as large as \S+e\+300 cannot be brought to unit length",
    "PostHocLogitAdjustment": r"diverged in epoch \d.* learning_rate \(0\.1\)",
    "TauNormalized": r"diverged in epoch \d.* learning_rate \(0\.1\)",
    "BalancedDataset": r"X: values as large as \S+e\+300 .* batches of float32",
}


def _features() -> Iterator[Case]:
    """Yield bad rows for everything that takes rows."""
    for kind, (make, told, told_by_gap) in BAD_FEATURES.items():
        for name, take in TAKERS.items():
            expected = told_by_gap if name == _GAP else told
            sample = (kind, name) in {
                ("dates", "EOS"),
                ("NaN", "TailCalib"),
                ("a frame with dates", "LinearHead"),
            }
            if expected:
                yield _refused(f"{name}: X: {kind}", _late(take, make, _y), expected, sample=sample)
    for name, told in TOO_LARGE.items():
        take = TAKERS[name]
        yield _refused(
            f"{name}: X: 1e300",
            _late(take, lambda: _rows() * 1e300, _y),
            told,
            sample=name in {"BalancedSVM", "NearestClassMean"},
        )
        yield _refused(
            f"{name}: X: 1e300 once", _late(take, lambda: _with(1e300), _y), told.replace(r"\S+e", "1e")
        )
    for name in ("EOS", "EOS by neighbors", "BalancedSVM"):
        yield _refused(
            f"{name}: X: beyond a quarter of float32",
            _late(TAKERS[name], lambda: (_rows() * 4e37).astype(np.float32), _y),
            r"X: values as large as 1\.\d+e\+38 cannot be interpolated in float32",
        )
    for name in ("EOS by neighbors", "EOS by angles", "BalancedSVM", "EOSCV"):
        yield _refused(
            f"{name}: X: 1e-300",
            _late(TAKERS[name], lambda: _rows() * 1e-300, _y),
            r"X: no value is larger than \S+e-300.*scale the features up",
        )


# Labels


def _text(y: np.ndarray) -> np.ndarray:
    return np.array(["cat", "dog", "eel"])[y]


def _replaced(value: Any) -> list[Any]:
    return [value if label == 2 else label for label in _y().tolist()]


_SIX = "6 are missing, the first in row 30"
BAD_LABELS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "NaN": (lambda: np.array(_replaced(_NAN)), f"y: {_SIX}", f"train_labels: {_SIX}"),
    "infinity": (lambda: np.array(_replaced(math.inf)), "y: 6 are infinite, .* 30", "labels: 6 are inf"),
    "None": (lambda: _replaced(None), f"y: {_SIX}", f"train_labels: {_SIX}"),
    "None among text": (
        lambda: [None if label == "eel" else label for label in _text(_y()).tolist()],
        f"y: {_SIX}", f"train_labels: {_SIX}",
    ),
    "no date": (
        lambda: np.where(_y() == 2, np.datetime64("NaT"), np.datetime64("2020-01-01")),
        f"y: {_SIX}", f"train_labels: {_SIX}",
    ),
    "missing in a series": (
        lambda: pd.Series(pd.array(_replaced(None), dtype="Int64")),
        f"y: {_SIX}", f"train_labels: {_SIX}",
    ),
    "numbers and text": (lambda: _replaced("b"), "y: int and str among", "train_labels: int and str among"),
    "numbers and text in an array": (
        lambda: np.array(_replaced("b"), dtype=object), "y: int and str among", "train_labels: int and str",
    ),
    "whole numbers and fractions": (
        lambda: np.array(_replaced(1.5), dtype=object), "y: float and int", "train_labels: float and int",
    ),
    "a frame of two columns": (
        lambda: pd.DataFrame({"a": _y(), "b": _y()}), r"(?i)y should be a 1d array.*\(36, 2\)",
        r"train_labels: shape \(36, 2\)",
    ),
    "several at once": (
        lambda: np.eye(3, dtype=int)[_y()] + [1, 0, 0], r"y should be a 1d array.*\(36, 3\)",
        r"train_labels: shape \(36, 3\)",
    ),
    "fractions": (lambda: _y() + 0.5, "continuous", ""),
    "complex": (lambda: _y() + 1j, "Complex data", ""),
    "bytes": (lambda: _text(_y()).astype("S3"), "bytes", ""),
    "one too few": (lambda: _y()[1:], r"\[36, 35\]", r"train_labels: shape \(35,\)"),
    "none at all": (list, r"\[36, 0\]", r"train_labels: shape \(0,\)"),
    "None alone": (lambda: None, "(?i)None", r"train_labels: shape \(\)"),
    "a number": (lambda: 3, r"got 3|shape \(\)", r"train_labels: shape \(\)"),
    "text alone": (lambda: "abc", r"'abc'|shape \(\)", r"train_labels: shape \(\)"),
    "a dict": (lambda: {0: 1}, r"\{0: 1\}|shape \(\)", r"train_labels: shape \(\)"),
    "one class": (lambda: np.zeros(36, int), r"1 class|only one class \(0\)", ""),
    "a sparse matrix": (
        lambda: sparse.csr_array(np.eye(3, dtype=int)[_y()]), "(?i)sparse", "train_labels: shape",
    ),
}  # fmt: skip


def _labels() -> Iterator[Case]:
    """Yield bad labels for everything that takes labels."""
    for kind, (make, told, told_by_gap) in BAD_LABELS.items():
        for name, take in TAKERS.items():
            expected = told_by_gap if name == _GAP else told
            sample = (kind, name) in {
                ("numbers and text", "BalancedSVM"),
                ("no date", "EOS"),
                ("NaN", "TailCalib"),
            }
            if kind == "a sparse matrix" and name in SAMPLERS:
                continue  # one column for each class is a form that imbalanced-learn takes
            if expected:
                yield _refused(f"{name}: y: {kind}", _late(take, _rows, make), expected, sample=sample)
    one = np.repeat([0, 1, 2], [20, 15, 1])
    yield _refused(
        "BalancedSVM: y: a class of one row",
        lambda: TAKERS["BalancedSVM"](_rows(), one),
        "k_neighbors: 3 nearest members of class 2 .* 0 others",
        sample=True,
    )
    for name in set(TAKERS) - {"BalancedSVM", "EOSCV", _GAP}:
        # Its results are finite, and those of a second call.
        call = partial(TAKERS[name], _rows(), one)
        yield _used(f"{name}: y: a class of one row", call, call)


# Other forms of good input


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _whole() -> np.ndarray:
    """Return rows of whole numbers from 0 to 120, in float64."""
    X, _ = _data()
    return np.rint((X - X.min()) / (X.max() - X.min()) * 120)


def _strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]))
    wide[::2, ::3] = array
    return _read_only(wide)[::2, ::3]


# Name: the form of X, and the plain X of the same numbers.
FORMS: dict[str, tuple[Callable[[], Any], Callable[[], np.ndarray]]] = {
    "read-only": (_rows, _plain),
    "Fortran order": (lambda: _read_only(np.asfortranarray(_rows())), _plain),
    "every second row": (lambda: _strided(_rows()), _plain),
    "turned round": (lambda: _read_only(_rows()[::-1].copy())[::-1], _plain),
    "big-endian": (lambda: _rows().astype(">f8"), _plain),
    "unaligned": (
        lambda: np.frombuffer(b"x" + _rows().tobytes(), dtype=np.float64, count=144, offset=1).reshape(36, 4),
        _plain,
    ),
    "a list": (_rows_as_list, _plain),
    "a frame": (_frame, _plain),
    "numbers as objects": (lambda: _rows().astype(object), _plain),
    "float16": (lambda: _whole().astype(np.float16), _whole),
    "longdouble": (lambda: _whole().astype(np.longdouble), _whole),
    "int8": (lambda: _whole().astype(np.int8), _whole),
    "uint8": (lambda: _whole().astype(np.uint8), _whole),
    "int64": (lambda: _whole().astype(np.int64), _whole),
    "bool": (lambda: _whole() > 60, lambda: (_whole() > 60).astype(float)),
    "CSR": (lambda: sparse.csr_array(_whole()), _whole),
    "CSC": (lambda: sparse.csc_matrix(_whole()), _whole),
    "COO": (lambda: sparse.coo_array(_whole()), _whole),
}
_SPARSE = {"CSR", "CSC", "COO"}


def _forms() -> Iterator[Case]:
    """Yield good input in unusual forms: the result is that of the plain one."""
    for form, (make, plain) in FORMS.items():
        for name, take in TAKERS.items():
            if form in _SPARSE and name in {"NearestClassMean", _GAP}:
                told = "Sparse data was passed for X" if name != _GAP else "train_features: a sparse matrix"
                yield _refused(f"{name}: X: {form}", _late(take, make, _y), told)
                continue
            if form == "numbers as objects" and name == _GAP:
                continue  # refused, in _features
            yield _used(
                f"{name}: X: {form}",
                _late(take, make, _y),
                _late(take, plain, _y),
                sample=(form, name) in {("uint8", "BalancedSVM"), ("every second row", "EOS by neighbors")},
            )
    y = _y()
    labels: dict[str, Any] = {
        "text": _text(y),
        "text as objects": _text(y).astype(object),
        "a list": y.tolist(),
        "a series": pd.Series(y),
        "categories": pd.Series(pd.Categorical(_text(y))),
        "dates": np.datetime64("2020-01-01") + y.astype("timedelta64[D]"),
        "whole numbers in float64": y.astype(float),
        "uint8": y.astype(np.uint8),
        "large": y + 2**62,
        "negative": y - 3,
    }
    for kind, given in labels.items():
        for name, take in TAKERS.items():
            yield _used(
                f"{name}: y: {kind}",
                partial(take, _rows(), given),
                _late(take, _plain, _y),
                sample=(kind, name) == ("dates", "EOS"),
            )


# Parameters


def _out_of_range(name: str, *values: Any) -> dict[str, tuple[Any, str]]:
    """Return values that a parameter cannot have, for scikit-learn's message to name both."""
    return {
        f"{name}={value!r:.30}": ({name: value}, f"'{name}' parameter of .*{re.escape(repr(value))}")
        for value in values
    }


_WRONG: tuple[Any, ...] = (-1, _NAN, math.inf, "x", None, [])
_SEEDS = _out_of_range("random_state", -1, 2.5, _NAN, _HUGE, "x", [])
_SIZES: dict[str, tuple[Any, str]] = {
    "strategy x": ({"sampling_strategy": "x"}, "'sampling_strategy' parameter of .*'x'"),
    "strategy nan": ({"sampling_strategy": _NAN}, "'sampling_strategy' parameter of .*nan"),
    "strategy None": ({"sampling_strategy": None}, "'sampling_strategy' parameter of .*None"),
    "a share of three classes": ({"sampling_strategy": 0.5}, "\"sampling_strategy\" can be a float only"),
    "an unknown class": ({"sampling_strategy": {9: 30}}, r"\{9\} target class"),
    "fewer than there are": ({"sampling_strategy": {0: 5}}, "20 samples and 5 samples are asked"),
    "a negative size": ({"sampling_strategy": {2: -5}}, r"\{2: -5\}"),
    "half a sample": ({"sampling_strategy": {2: 10.5}}, "sampling_strategy: 10.5 samples of class 2"),
    "a size of NaN": ({"sampling_strategy": {2: _NAN}}, "sampling_strategy: nan samples of class 2"),
    "a size of text": ({"sampling_strategy": {2: "x"}}, "sampling_strategy: 'x' samples of class 2"),
    "10**21 samples": ({"sampling_strategy": {2: _HUGE}}, f"sampling_strategy: {_HUGE} samples of class 2"),
}  # fmt: skip


class _Index(NearestNeighbors):
    """A search that finds what it is told to."""

    def __init__(self, found: int = 0, n_neighbors: int = 3) -> None:
        super().__init__(n_neighbors=n_neighbors)
        self.found = found

    def kneighbors(self, X: Any, n_neighbors: int, return_distance: bool = False) -> np.ndarray:
        return np.full((len(X), n_neighbors), self.found)


_RESAMPLING: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, str]]]] = {
    "EOS": (
        eos.EOS,
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("k_neighbors", 0, 2.5, *_WRONG),
            **_out_of_range("step_size", 0, 1.5, _HUGE, *_WRONG),
            **_out_of_range("variant", "towards", 1, None),
            **_out_of_range("metric", "manhattan", 1, None),
            "released without K": ({"variant": "released"}, 'variant: "released" .*k_neighbors="all"'),
            "a search for itself": (
                {"k_neighbors": NearestNeighbors(n_neighbors=1)}, "k_neighbors: .*n_neighbors=1",
            ),
            "a class as search": ({"k_neighbors": NearestNeighbors}, "k_neighbors: .*n_neighbors=None"),
            "a search that finds row -1": ({"k_neighbors": _Index(-1)}, "k_neighbors: _Index.* from -1"),
            "a search that finds row 99": ({"k_neighbors": _Index(99)}, "k_neighbors: _Index.* to 99"),
        },
    ),
    "BalancedSVM": (
        partial(eos.BalancedSVM, k_neighbors=3),
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("k_neighbors", 0, 2.5, *_WRONG),
            **_out_of_range("relabel", "some", 1, None),
            "K above a class": ({"k_neighbors": 6}, "k_neighbors: 6 .* class 2 .* at most 5"),
            "K of 10**21": ({"k_neighbors": _HUGE}, f"k_neighbors: {_HUGE} .* class 1 .* at most 9"),
            "a search above a class": (
                {"k_neighbors": NearestNeighbors(n_neighbors=8)}, "k_neighbors: 7 .* class 2",
            ),
        },
    ),
    "TailCalib": (
        eos.TailCalib,
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("n_neighbors", 0, 2.5, *_WRONG),
            **_out_of_range("alpha", *_WRONG),
        },
    ),
    "SWIM": (
        eos.SWIM,
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("variant", "some", 1, None),
            **_out_of_range("spread", 0, *_WRONG),
            **_out_of_range("steps", 0, 2.5, *_WRONG),
            **_out_of_range("units", "some", 1, None),
            **_out_of_range("clip", "x", 2, None),
        },
    ),
    "ManifoldOverSampler": (
        eos.ManifoldOverSampler,
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("form", "some", 1, None),
            **_out_of_range("noise", *_WRONG),
            **_out_of_range("variance", 0, 1.5, *_WRONG),
            **_out_of_range("pooled_rows", *_WRONG),
            **_out_of_range("hidden_share", 0, 1.5, *_WRONG),
            **_out_of_range("steps", 0, 2.5, *_WRONG),
            **_out_of_range("per_class", "x", 2, None),
            **_out_of_range("passes", 0, 2.5, *_WRONG),
            **_out_of_range("clip", "x", 2, None),
        },
    ),
    "RBO": (
        partial(eos.RBO, n_steps=20),
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("multiclass", "some", 1, None),
            **_out_of_range("gamma", 0, *_WRONG),
            **_out_of_range("step", 0, *_WRONG),
            **_out_of_range("n_steps", 0, 2.5, *_WRONG),
            **_out_of_range("stop_probability", 1, *_WRONG),
            **_out_of_range("n_neighbors", 0, 2.5, *_WRONG),
            **_out_of_range("units", "some", 1, None),
        },
    ),
    "CCR": (
        eos.CCR,
        {
            **_SIZES,
            **_SEEDS,
            **_out_of_range("multiclass", "some", 1, None),
            **_out_of_range("energy", 0, *_WRONG),
            **_out_of_range("units", "some", 1, None),
            **_out_of_range("p", 0, 3, 1.5, *_WRONG),
            **_out_of_range("selection", "some", 1, None),
            **_out_of_range("cleaning", "some", 1, None),
            **_out_of_range("region", "some", 1),
            **_out_of_range("gamma", 0, *_WRONG),
            **_out_of_range("theta", 1.5, *_WRONG),
            **_out_of_range("n_candidates", 0, 2.5, *_WRONG),
            **_out_of_range("n_neighbors", 0, 2.5, *_WRONG),
        },
    ),
}  # fmt: skip
_FITTING: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, str]]]] = {
    "LinearHead": (
        _head,
        {
            **_SEEDS,
            **_out_of_range("epochs", 0, 2.5, *_WRONG),
            **_out_of_range("learning_rate", 0, *_WRONG),
            **_out_of_range("batch_size", 0, 2.5, *_WRONG),
            **_out_of_range("momentum", 1, 1e300, *_WRONG),
            **_out_of_range("weight_decay", *_WRONG),
            **_out_of_range("warmup_epochs", 2.5, *_WRONG),
            **_out_of_range("decay", 0, 1.5, *_WRONG),
            **_out_of_range("logit_adjustment", *_WRONG),
            **_out_of_range("class_balanced", "x", 2, None),
            **_out_of_range("milestones", 1, "x", None),
            "a milestone of 0": ({"milestones": [0]}, "milestones: 0 is not an epoch"),
            "a milestone of NaN": ({"milestones": [_NAN]}, "milestones: nan is not an epoch"),
            "a milestone of text": ({"milestones": ["a"]}, "milestones: 'a' is not an epoch"),
            "a rate of 1e300": ({"learning_rate": 1e300}, r"diverged in epoch \d.*learning_rate \(1e\+300\)"),
            "a decay of 1e300": ({"weight_decay": 1e300}, r"diverged in epoch \d.*weight_decay \(1e\+300\)"),
            "an adjustment of 1e308": ({"logit_adjustment": 1.7e308}, r"logit_adjustment: 1\.7e\+308 "),
        },
    ),
    "EOSCV": (
        _eos_cv,
        {
            **_SEEDS,
            **_out_of_range("k_neighbors", 3, "all", None),
            **_out_of_range("step_size", 0.5, "auto", None),
            **_out_of_range("head", 1, "x", object),
            **_out_of_range("scoring", "x", 1, []),
            "no K": ({"k_neighbors": []}, "k_neighbors: the grid is empty"),
            "a K of 0": ({"k_neighbors": [3, 0]}, "k_neighbors: 0 is in the grid"),
            "a K of NaN": ({"k_neighbors": [_NAN]}, "k_neighbors: nan is in the grid"),
            "a K of text": ({"k_neighbors": ["x"]}, "k_neighbors: 'x' is in the grid"),
            "no step": ({"step_size": []}, "step_size: the grid is empty"),
            "a step of 2": ({"step_size": [0.5, 2]}, "step_size: 2 is in the grid"),
            "a step of NaN": ({"step_size": [_NAN]}, "step_size: nan is in the grid"),
            "a class as head": ({"head": eos.LinearHead}, "LinearHead"),
            "1 fold": ({"cv": 1}, "(?i)cv|n_splits=1"),
            "37 folds": ({"cv": 37}, "cv: .*n_splits=37.* 36 rows"),
            "10**21 folds": ({"cv": _HUGE}, f"cv: .*n_splits={_HUGE}.* 36 rows"),
            "folds of text": ({"cv": "x"}, "cv.*'x'"),
            "no folds": ({"cv": []}, "cv: no row is held out"),
            "a fold that is no pair": ({"cv": [3]}, "cv: .*int.* 36 rows"),
            "a fold of rows that are not": ({"cv": [(range(36), [99])]}, "cv: split 0 is not num.* to 35"),
            "a fold that holds nothing out": ({"cv": [(range(36), [])]}, "cv: split 0 .*at least one"),
            "a fold of one class": ({"cv": [(range(9), [35])]}, "cv: split 0 .*one class only"),
            "a score of NaN": ({"scoring": lambda *_: _NAN}, "scoring: the score nan"),
            "a score of text": ({"scoring": lambda *_: "a"}, "scoring: the score 'a'"),
            "no score": ({"scoring": lambda *_: None}, "scoring: the score None"),
        },
    ),
    **{
        name: (
            partial(kind, estimator=_head()),
            {
                **_out_of_range("tau", *_WRONG),
                **_out_of_range("estimator", None, 1, "x", object),
                "a class": ({"estimator": eos.LinearHead}, "(?i)class"),
                "an absurd tau": ({"tau": tau}, f"tau: .*{re.escape(f'{tau:g}')}"),
            },
        )
        for name, kind, tau in (
            ("PostHocLogitAdjustment", eos.PostHocLogitAdjustment, 1.7e308),
            ("TauNormalized", eos.TauNormalized, 1e300),
        )
    },
}  # fmt: skip
_WEIGHTS: dict[str, tuple[Any, str]] = {
    "negative": ([-1.0] * 36, "Negative values.*sample_weight"),
    "zero": ([0.0] * 36, "(?i)sample weights must contain at least one non-zero"),
    "NaN": ([_NAN] * 36, "sample_weight contains NaN"),
    "infinite": ([math.inf] * 36, "sample_weight contains infinity"),
    "None": ([None] * 36, "sample_weight contains NaN"),
    "text": (["x"] * 36, "'x'"),
    "one too few": ([1.0] * 35, r"sample_weight.shape == \(35,\), expected \(36,\)"),
    "two dimensions": ([[1.0]] * 36, "(?i)sample weights must be 1D.*2D"),
    "a sum that overflows": ([1e308] * 36, r"sample_weight: the sum of weights as large as 1e\+308"),
}  # fmt: skip


def _weighted(name: str, weights: Any) -> tuple[Any, ...]:
    X, y = _data()
    return (clone(HEADS[name]).fit(X, y, sample_weight=weights).decision_function(X),)


def _parameters() -> Iterator[Case]:
    """Yield parameters that cannot be, one at a time."""
    X, y = _data()
    for fit, table in ((_resampled, _RESAMPLING), (_fitted, _FITTING)):
        for name, (make, parameters) in table.items():
            for what, (given, told) in parameters.items():
                yield _refused(
                    f"{name}: {what}",
                    _late(fit, partial(make, **given), _rows, _y),
                    told,
                    sample=what in {"10**21 samples", "K above a class", "a fold that is no pair"},
                )
    for name in ("EOS", "BalancedSVM", "TailCalib", "SWIM", "ManifoldOverSampler", "RBO", "CCR"):
        yield _refused(
            f"{name}: 10**12 samples",
            _late(
                _resampled,
                partial(clone(SAMPLERS[name]).set_params, sampling_strategy={2: 10**12}),
                _rows,
                _y,
            ),
            "Unable to allocate",
            (MemoryError,),
        )
    for name in ("LinearHead", "PostHocLogitAdjustment"):
        for what, (weights, told) in _WEIGHTS.items():
            yield _refused(
                f"{name}: weights: {what}",
                partial(_weighted, name, weights),
                told,
            )
    # Absurd, but they mean something.
    for name, taken, same in (
        (
            "EOS: K of 10**21",
            eos.EOS(k_neighbors=_HUGE, random_state=0),
            eos.EOS(k_neighbors=35, random_state=0),
        ),
        (
            "TailCalib: 10**21 classes",
            eos.TailCalib(n_neighbors=_HUGE, random_state=0),
            SAMPLERS["TailCalib"],
        ),
    ):
        yield _used(name, partial(_resampled, taken, X, y), partial(_resampled, same, X, y))
    for name, taken, same in (
        ("LinearHead: batches of 10**21", _head(batch_size=_HUGE), _head(batch_size=36)),
        ("LinearHead: a milestone at 10**21", _head(milestones=[_HUGE]), _head()),
    ):
        yield _used(name, partial(_fitted, taken, X, y), partial(_fitted, same, X, y))
    for name in ("LinearHead", "PostHocLogitAdjustment"):
        yield _used(
            f"{name}: weight 10**21", partial(_weighted, name, _HUGE), partial(_weighted, name, np.ones(36))
        )


# Batches


def _batches() -> Iterator[Case]:
    """Yield bad batches."""
    X, y = _data()

    def batches(**parameters: Any) -> list[np.ndarray]:
        given: dict[str, Any] = {"labels": y, "batch_size": 8, "random_state": 0}
        return list(eos.BalancedBatchSampler(**given | parameters))

    def epoch(value: Any) -> list[np.ndarray]:
        sampler = eos.BalancedBatchSampler(y, 8, 0)
        sampler.epoch = value
        return list(sampler)

    name: str
    value: Any
    for value in (0, -1, 2.5, _NAN, math.inf, "x", None, []):
        yield _refused(
            f"BalancedBatchSampler: batch_size={value!r}",
            partial(batches, batch_size=value),
            f"batch_size: {re.escape(repr(value))}; give",
            sample=value == 2.5,
        )
    for value in (-1, 2.5, _NAN, "x", None, []):
        told = re.escape(repr(value))
        yield _refused(
            f"BalancedBatchSampler: random_state={value!r}",
            partial(batches, random_state=value),
            f"random_state: {told}; give",
        )
        yield _refused(f"BalancedBatchSampler: epoch={value!r}", partial(epoch, value), f"epoch: {told}; set")
    for name, value, told in (
        ("none", [], "labels: there are no rows"),
        ("a number", 3, r"labels: shape \(\)"),
        ("text", "abc", r"labels: shape \(\)"),
        ("None", None, r"labels: shape \(\)"),
        ("two dimensions", [[0, 1]], r"labels: shape \(1, 2\)"),
        ("several kinds", [0, "a"], "labels: int and str among"),
        ("NaN", [_NAN, 1.0], "labels: 1 are missing, the first in row 0"),
        ("None in them", [0, None], "labels: 1 are missing, the first in row 1"),
    ):
        yield _refused(f"BalancedBatchSampler: labels: {name}", partial(batches, labels=value), told)
    for name, value in (
        ("None", None),
        ("text", "EOS"),
        ("a class", eos.EOS),
        ("another sampler", eos.TailCalib()),
    ):
        call = partial(eos.BalancedDataset, X, y, value)
        yield _refused(f"BalancedDataset: sampler: {name}", call, "sampler: .*; give an EOS")
    data = eos.BalancedDataset(X, y, eos.EOS(random_state=0))
    for value in (60, -61, _HUGE, 1.5, "x", [99]):
        get = partial(data.__getitem__, value)
        yield _refused(f"BalancedDataset: row {value!r}", get, "index|indices", (IndexError,))


# The gap


def _gap() -> Iterator[Case]:
    """Yield what is bad for the gap alone."""
    X, y = _data()
    gap = eos.generalization_gap
    edge = np.array([[1.7e308], [-1.7e308]])
    wide = np.full((2, 1), np.longdouble("1e400"))
    for what, given, told in (
        ("a gap beyond float64", (edge, [0, 1], edge[::-1], [0, 1]), r"test_features: .*1\.7e\+308 reach"),
        ("beyond float64", (wide, [0, 1], wide, [0, 1]), "train_features: 2 of 2 rows hold .*infinity"),
        (
            "a test class without rows",
            (X[y < 2], y[y < 2], X, y),
            "test_labels: class 2 has no training rows",
        ),
        ("other columns", (X, y, X[:, :3], y), "test_features: 3 columns, but train_features has 4"),
        ("NaN in a test row", (X, y, _with(_NAN), y), "test_features: 1 of 36 rows .* row 3"),
        ("a test label too few", (X, y, X, y[1:]), r"test_labels: shape \(35,\)"),
        ("test labels of text", (X, y, X, _text(y)), "test_labels: "),
        ("a missing test label", (X, y, X, _replaced(None)), "test_labels: 6 are missing, .* row 30"),
        ("test rows of dates", (X, y, _dates(), y), "test_features: a datetime64"),
    ):
        yield _refused(f"{_GAP}: {what}", partial(gap, *given), told, sample=what == "a gap beyond float64")
    reversed_rows = (X[::-1], y[::-1], X[::-1], y[::-1])
    yield _used(
        f"{_GAP}: views that run backwards", lambda: (gap(*reversed_rows),), lambda: (gap(X, y, X, y),)
    )


# Rows to predict


def _predictions() -> Iterator[Case]:
    """Yield rows that a fitted head cannot take."""
    X, y = _data()
    bad: dict[str, tuple[Any, str]] = {
        "NaN": (_with(_NAN), _NO_NUMBER),
        "another width": (X[:, :3], "X has 3 features, but .* 4 features"),
        "one row": (X[0], "2D array, got 1D"),
        "no rows": (X[:0], "0 sample"),
        "None": (None, "(?i)2D array, got scalar|NoneType"),
        "dates": (_dates(), r"X: holds datetime64\[D\]"),
        "text": (X.astype(str), "X: holds <U"),
        "beyond float64": (_with(10**400), "X: int too large"),
    }

    def call(name: str, method: str, rows: Any) -> Any:
        return getattr(clone(HEADS[name]).fit(X, y), method)(rows)

    for name, head in HEADS.items():
        for method in ("predict", "predict_proba", "decision_function"):
            if not hasattr(head, method):
                continue
            for what, (rows, told) in bad.items():
                yield _refused(f"{name}.{method}: {what}", partial(call, name, method, rows), told)
            yield _refused(
                f"{name}.{method}: not fitted",
                partial(getattr(clone(head), method), X),
                f"This {name} instance is not fitted",
            )
    for name in ("NearestClassMean", "TauNormalized"):
        yield _refused(
            f"{name}.predict: 1.7e308",
            partial(call, name, "predict", X / np.abs(X).max() * 1.7e308),
            r"X: .*values as large as 1\.7e\+308",
        )


# The search on a device


def _device_neighbors() -> Iterator[Case]:
    """Yield what the search with PyTorch cannot take; here on a CPU."""
    X, _ = _data()

    def found(rows: Any = X, queries: Any = X, n: Any = None, **parameters: Any) -> Any:
        given: dict[str, Any] = {"n_neighbors": 3, "device": "cpu"}
        return DeviceNeighbors(**given | parameters).fit(rows).kneighbors(queries, n)

    def of_rows(rows: Any) -> Any:
        return DeviceNeighbors(3, device="cpu").fit(X).kneighbors_of_rows(rows)

    def exact(make: Callable[[], Any]) -> tuple[Any, ...]:
        return found(make(), make(), precision="float32")

    value: Any
    for value in (0, -1, 2.5, _NAN, "x", []):
        told = f": {re.escape(repr(value))}; give"
        for name, call in (
            ("n_neighbors", partial(found, n_neighbors=value)),
            ("kneighbors n_neighbors", partial(found, n=value)),
            ("candidates", partial(found, candidates=value)),
        ):
            yield _refused(f"DeviceNeighbors: {name}={value!r}", call, name.split()[-1] + told)
    yield _refused(
        "DeviceNeighbors: 10**21 neighbors", partial(found, n=_HUGE), f"n_neighbors: {_HUGE} .* 36 rows"
    )
    for name, value in (
        *(("device", device) for device in ("x", "cuda:99", 99)),
        *(("precision", precision) for precision in ("float64", None, 1)),
    ):
        yield _refused(
            f"DeviceNeighbors: {name}={value!r}",
            partial(found, **{name: value}),
            f"{name}: {re.escape(repr(value))}",
        )
    bad: dict[str, tuple[Any, str]] = {
        "NaN": (_with(_NAN), "X: values as large as nan"),
        "1e20": (X * 1e20, r"X: values as large as \S+e\+20"),
        "no rows": (X[:0], "X: there are no rows"),
        "no columns": (X[:, :0], r"X: .*\(36, 0\)"),
        "one dimension": (X[0], r"X: .*\(4,\)"),
        "three dimensions": (X[np.newaxis], r"X: .*\(1, 36, 4\)"),
        "text": (X.astype(str), "X: a <U"),
        "objects": (X.astype(object), "X: a object"),
        "complex": (X + 1j, "X: a complex128"),
        "dates": (_dates(), "X: a datetime64"),
        "None": (None, r"X: a object array of shape \(\)"),
        "sparse": (sparse.csr_array(X), "X: a sparse matrix"),
        "several lengths": ([[1.0], [1.0, 2.0]], "X: no matrix"),
    }
    for what, (rows, told) in bad.items():
        yield _refused(f"DeviceNeighbors: fit: {what}", partial(found, rows), told)
        yield _refused(f"DeviceNeighbors: queries: {what}", partial(found, queries=rows), told)
    yield _refused(
        "DeviceNeighbors: queries: another width",
        partial(found, queries=X[:, :3]),
        "X: 3 columns, but 4 were",
    )
    yield _refused(
        "DeviceNeighbors: not fitted", lambda: DeviceNeighbors(device="cpu").kneighbors(X), "not fitted"
    )
    for value in ([99], [-1], [0.5], ["a"], [], [[0]], None, [_HUGE]):
        yield _refused(f"DeviceNeighbors: fitted rows {value!r}", partial(of_rows, value), "rows: .*0 to 35")
    for form in ("Fortran order", "every second row", "turned round", "a list"):
        make, plain = FORMS[form]
        yield _used(f"DeviceNeighbors: X: {form}", partial(exact, make), partial(exact, plain))


# A classifier to take home

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def _saved(folder: Path, *, images: bool, **head: np.ndarray) -> Path:
    """Write a classifier with made-up weights, of images or of features."""
    from eos.classifier.folder import BACKBONE, HEAD, write_folder

    n_features = 64 if images else 4
    weight = np.random.default_rng(1).normal(size=(3, n_features)).astype(np.float32)
    arrays = {HEAD: {"weight": weight, "bias": np.zeros(3, np.float32)} | head}
    description: dict[str, Any] = {
        "class_names": ["cat", "dog", "eel"],
        "n_features": n_features,
        "head": {"own": False, "classifier": "linear", "scale": 1.0},
        "backbone": None,
        "computing": {"device": "cpu", "cpu_threads": None, "portable": False, "precision": "fp32"},
        "trained_on": {},
        "scores": {},
        "versions": {},
    }
    if images:
        from eos.models.network import build_network

        network: Any = build_network("resnet8", channels=3, n_classes=3, classifier="linear")
        state = network.backbone.state_dict()
        arrays[BACKBONE] = {name: value.numpy(force=True) for name, value in state.items()}
        known = {"architecture": "resnet8", "branches": 1, "channels": 3, "image_size": 8}
        description["backbone"] = known | {"mean": [0.5] * 3, "std": [0.2] * 3}
    write_folder(folder / "model", description, arrays)
    return folder / "model"


def _classifier() -> Iterator[Case]:
    """Yield folders that hold no classifier, and inputs that a classifier cannot take."""
    X = _rows()
    place: Any
    for what, place, told in (
        ("a number", 1, "folder: 1 is no path"),
        ("None", None, "folder: None is no path"),
        ("bytes", b"x", "folder: b'x' is no path"),
        ("no folder", "/nonexistent", "/nonexistent: no such folder"),
        ("a device", "/dev/null", "/dev/null: no such folder"),
        ("a name too long", "x" * 5000, "folder: File name too long"),
        ("a name with NUL", "a\0b", "no such folder"),
        ("a folder of something else", "/dev", "/dev: holds no classifier"),
    ):
        yield _refused(f"load: {what}", partial(eos.load, place), told)

    def attack(saved: Callable[[Path], Path], method: str, inputs: Any, told: str, folder: Path) -> str:
        classifier = eos.load(saved(folder))
        return _refuses(lambda: getattr(classifier, method)(inputs), told)

    def on(device: Any, folder: Path) -> str:
        place = _saved(folder, images=False)
        return _refuses(lambda: eos.load(place, device=device), f"device: .*{re.escape(repr(device))}")

    device: Any
    for device in ("x", 1, "", []):
        yield Case("api", f"load: device={device!r}", partial(on, device))

    takes = r"inputs: .*features of shape \(n, 4\)"
    bad: dict[str, tuple[Any, str]] = {
        "NaN": (_with(_NAN), takes),
        "1e39": (X * 1e39, takes),
        "beyond float64": (_with(10**400), takes),
        "bool": (X > 0, takes),
        "dates": (_dates(), takes),
        "text": (X.astype(str), takes),
        "objects": (X.astype(object), takes),
        "complex": (X + 1j, takes),
        "another width": (X[:, :3], takes),
        "one row": (X[0], takes),
        "no rows": (X[:0], takes),
        "three dimensions": (X[np.newaxis], takes),
        "None": (None, takes),
        "a number": (3, takes),
        "a path": ("x.png", takes),
        "sparse": (sparse.csr_array(X), takes),
        "several lengths": ([[1.0], [1.0, 2.0]], "inputs: no array"),
        "3.4e38": (np.full((1, 4), 3.4e38), r"inputs: .*as large as 3\.4e\+38"),
    }
    plain = partial(_saved, images=False)
    scaled = partial(plain, mean=np.zeros(4, np.float32), deviation=np.full(4, 1e-3, np.float32))
    for what, (inputs, told) in bad.items():
        for method in ("predict", "predict_proba", "logits"):
            yield Case(
                "api",
                f"Classifier.{method}: features: {what}",
                partial(attack, plain, method, inputs, told),
                sample=(what, method) == ("3.4e38", "predict_proba"),
            )
        call = partial(attack, scaled, "predict", inputs, told)
        yield Case("api", f"Classifier: standardized features: {what}", call)
    takes = r"inputs: an array of .* takes uint8 of shape \(n, 8, 8, 3\)"
    pictures: dict[str, tuple[Any, str]] = {
        "floats": (IMAGES / 255, takes),
        "int64": (IMAGES.astype(np.int64), takes),
        "lists": (IMAGES.tolist(), takes),
        "one image": (IMAGES[0], takes),
        "no images": (IMAGES[:0], takes),
        "nothing": ([], takes),
        "grey": (IMAGES[..., :1], takes),
        "channels first": (IMAGES.transpose(0, 3, 1, 2), takes),
        "another size": (IMAGES[:, :7], takes),
        "None": (None, takes),
        "a number": (3, takes),
        "a set": ({"a.png"}, takes),
        "a dict": ({"a": 1}, takes),
        "a generator": ((image for image in IMAGES), takes),
        "sparse": (sparse.csr_array(X), takes),
        "bytes": (b"abc", takes),
        "paths beside images": (["a.png", IMAGES[0]], "inputs: no array"),
        "several shapes": ([IMAGES[0], IMAGES[0, :4]], "inputs: no array"),
        "a path that is not": ("/nonexistent.png", "1 of 1 pictures .*/nonexistent.png"),
        "a folder": ("/dev", "1 of 1 pictures .*/dev: "),
        "a device": ("/dev/zero", "1 of 1 pictures .*/dev/zero: "),
        "a name with NUL": ("a\0b", "1 of 1 pictures "),
        "a name too long": ("x" * 5000, "1 of 1 pictures .*too long"),
    }
    of_images = partial(_saved, images=True)
    for what, (inputs, told) in pictures.items():
        yield Case("api", f"Classifier: images: {what}", partial(attack, of_images, "predict", inputs, told))

    def same_images(form: Callable[[], Any], folder: Path) -> str:
        classifier = eos.load(of_images(folder))
        return _uses(lambda: (classifier.logits(form()),), lambda: (classifier.logits(IMAGES.copy()),))

    forms: dict[str, Callable[[], Any]] = {
        "read-only": lambda: np.frombuffer(IMAGES.tobytes(), np.uint8).reshape(IMAGES.shape),
        "Fortran order": lambda: _read_only(np.asfortranarray(IMAGES)),
        "turned round": lambda: _read_only(IMAGES[::-1, ::-1].copy())[::-1, ::-1],
        "a list of arrays": lambda: list(IMAGES),
    }
    for what, form in forms.items():
        yield Case("api", f"Classifier: images: {what}", partial(same_images, form))
