"""How fast the Balanced SVM is: the labels of its support-vector machine, and the whole sampler."""

from collections.abc import Iterator

import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.compare import Comparison
from benchmarks.data import COUNTS, embeddings
from eos.samplers.balanced_svm import BalancedSVM, predicted_labels


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Yield the lines of the table, on small sizes if `quick`."""
    counts = tuple(max(10, count // 20) for count in COUNTS) if quick else COUNTS
    features, labels = embeddings(counts)
    fitted: list[tuple[Pipeline, np.ndarray]] = []

    def svm_and_rows() -> tuple[Pipeline, np.ndarray]:
        """Fit once, in the run off the clock."""
        if not fitted:
            rows, balanced = SMOTE(random_state=0).fit_resample(features, labels)
            fitted.append((_svm().fit(rows, balanced), rows[len(labels) :]))
        return fitted[0]

    def plain_predict() -> np.ndarray:
        svm, rows = svm_and_rows()
        return svm.predict(rows)

    def plain_total() -> np.ndarray:
        rows, balanced = SMOTE(random_state=0).fit_resample(features, labels)
        synthetic = slice(len(labels), None)
        balanced[synthetic] = _svm().fit(rows, balanced).predict(rows[synthetic])
        return balanced

    yield Comparison(
        work="Balanced SVM relabelling, predict",
        against="scikit-learn's SVC.predict",
        baseline=plain_predict,
        ours=lambda: predicted_labels(*svm_and_rows()),
        same=np.array_equal,
        at_least=10,
        goal=25,
    )
    yield Comparison(
        work="Balanced SVM relabelling, total",
        against="SMOTE, StandardScaler, SVC: fit and predict",
        baseline=plain_total,
        ours=lambda: BalancedSVM(random_state=0).fit_resample(features, labels)[1],
        same=np.array_equal,
        at_least=2.4,
        goal=6,
    )


def _svm() -> Pipeline:
    return make_pipeline(StandardScaler(), SVC())
