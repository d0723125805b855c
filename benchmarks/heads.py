"""How fast the heads are: one in this process, and the whole stage as it is run."""

import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from ruamel.yaml import YAML

from benchmarks.compare import Comparison
from benchmarks.data import COUNTS, N_FEATURES, embeddings, head_config
from eos.heads import softmax
from eos.heads.retraining import retrain
from eos.heads.rows import balanced_rows
from eos.pipeline.paths import PARAMETERS, embeddings_file, heads_folder, oversampled_folder
from eos.storage.files import read_arrays, write_arrays, write_json

ROOT = Path(__file__).parents[1]
EPOCHS = 10
HEADS = ("random", "smote", "bsmote", "balsvm")  # four names that params.yaml defines
CELL = ("cifar10", 0, "bench")  # a data set that is not portable: the machine's full speed
NO_ROWS = (np.empty((0, N_FEATURES), np.float32), np.empty(0, np.int64))

Rows = tuple[np.ndarray, np.ndarray]


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Yield the lines of the table, on small sizes if `quick`."""
    counts = tuple(max(10, count // 20) for count in COUNTS) if quick else COUNTS
    real = embeddings(counts)
    test = embeddings((50 if quick else 1000,) * len(COUNTS), seed=1)
    yield _one_head(SMOTE(random_state=0).fit_resample(*real), test)
    with tempfile.TemporaryDirectory() as folder:
        yield _stage(Path(folder), real, test, HEADS[:1] if quick else HEADS)
    yield _triples(real)


def _one_head(train: Rows, test: Rows) -> Comparison:
    def plain() -> list[float]:
        from benchmarks.plain_head import plain_head

        return plain_head(train, test, EPOCHS)

    def ours() -> list[float]:
        return told(
            retrain(
                train,
                test,
                NO_ROWS,
                n_classes=len(COUNTS),
                config=head_config(epochs=EPOCHS),
                curve_epochs=EPOCHS,
                rule="last",
                seed=0,
            )
        )

    return Comparison(
        work=f"one head, {EPOCHS} epochs of {len(train[1]):,} x {N_FEATURES}, evaluated each epoch",
        against="torch, DataLoader of batches of 128",
        baseline=plain,
        ours=ours,
        same=same_heads,
        at_least=20,
        goal=75,
    )


def told(head: Any) -> list[float]:
    """Return what `plain_head` does of a trained head: the loss of each epoch and the last accuracy."""
    return [*head["loss"].tolist(), float(head["test_BAC"][-1])]


def same_heads(one: list[float], other: list[float]) -> bool:
    """Whether two heads learned alike in every epoch, from other first weights and in another order."""
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0.1, atol=0))


def _stage(folder: Path, real: Rows, test: Rows, heads: tuple[str, ...]) -> Comparison:
    """Compare the stage, run in a folder of its own, with a program per head that reads CSV."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    written: list[bool] = []

    def run(*arguments: str) -> str:
        if not written:
            _write_pipeline(folder, real, test, heads)
            written.append(True)
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def plain() -> list[list[float]]:
        program = str(ROOT / "benchmarks" / "plain_head.py")
        printed = [run(program, f"{head}.csv", "test.csv", str(EPOCHS)) for head in heads]
        return [list(map(float, numbers.split())) for numbers in printed]

    def ours() -> list[list[float]]:
        run(str(ROOT / "stages" / "retrain.py"), *map(str, CELL))
        made = [read_arrays(folder / heads_folder(*CELL) / f"{head}.npz") for head in heads]
        return [told({name: array[0] for name, array in head.items()}) for head in made]

    return Comparison(
        work=f"the retrain stage, heads: {len(heads)}, process start included",
        against="a torch program per head, reading CSV",
        baseline=plain,
        ours=ours,
        same=lambda one, other: all(map(same_heads, one, other)),
        at_least=20,
        goal=40,
    )


def _write_pipeline(folder: Path, real: Rows, test: Rows, heads: tuple[str, ...]) -> None:
    """Write what the stage reads, parameters, embeddings and over-sampled rows; and the same rows as CSV."""
    yaml = YAML(typ="safe", pure=True)
    parameters = yaml.load(ROOT / PARAMETERS)
    parameters["networks"][CELL[-1]] = dict(parameters["networks"]["ce"], heads=list(heads))
    parameters["head_training"].update(epochs=EPOCHS, curve_epochs=EPOCHS, seeds=[0])
    parameters["selection"] = "last"
    yaml.dump(parameters, folder / PARAMETERS)
    parts = {"train": real, "validation": NO_ROWS, "test": test}
    arrays = {
        "weight": np.zeros((len(COUNTS), N_FEATURES), np.float32),
        "epoch": np.array(1),
        "precision": np.array("fp32"),
        **{f"{part}_features": features for part, (features, _) in parts.items()},
        **{f"{part}_labels": labels for part, (_, labels) in parts.items()},
        **{f"{part}_logits": np.zeros((len(x), len(COUNTS)), np.float32) for part, (x, _) in parts.items()},
    }
    write_arrays(folder / embeddings_file(*CELL), arrays)
    _write_csv(folder / "test.csv", *test)
    balanced_folder = folder / oversampled_folder(*CELL)
    write_json(balanced_folder / "notes.json", {head: [] for head in heads})
    for seed, head in enumerate(heads):
        features, labels = SMOTE(random_state=seed).fit_resample(*real)
        arrays = {"synthetic": features[len(real[1]) :], "labels": labels, "gap": np.zeros(len(COUNTS))}
        write_arrays(balanced_folder / f"{head}.npz", arrays)
        _write_csv(folder / f"{head}.csv", features, labels)


def _write_csv(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    import pandas as pd

    pd.DataFrame(features).assign(label=labels).to_csv(path, header=False, index=False)


def _triples(real: Rows) -> Comparison:
    """Compare a head on the array of all rows with one on rows computed batch by batch; note the memory."""
    features, labels = real
    random, sizes = np.random.default_rng(0), np.bincount(labels)
    members = [np.flatnonzero(labels == label) for label in range(len(sizes))]
    pairs = [random.choice(own, (2, sizes.max() - len(own))) for own in members]
    base, partner = np.concatenate(pairs, axis=1)
    step = random.random(len(base))
    balanced = np.concatenate([labels, labels[base]])

    def trained(rows: Any) -> np.ndarray:
        return softmax.fit(rows, balanced, len(COUNTS), head_config(epochs=EPOCHS), 0)[0]

    def array() -> np.ndarray:
        difference = features[partner] - features[base]
        difference *= step.astype(features.dtype)[:, np.newaxis]
        difference += features[base]
        return trained(np.concatenate([features, difference]))

    def triples() -> np.ndarray:
        return trained(balanced_rows(features, base, partner, step))

    def same(one: np.ndarray, other: np.ndarray) -> bool:
        print(f"memory at most: {_peak(array):.1f} MiB with the array, {_peak(triples):.1f} MiB with triples")
        return np.array_equal(one, other)

    return Comparison(
        work="one head from triples, not evaluated",
        against="ours on the array of all rows",
        baseline=array,
        ours=triples,
        same=same,
        at_least=0.7,
        goal=1,
    )


def _peak(work: Callable[[], Any]) -> float:
    """Return the most memory, in MiB, that Python and NumPy hold for `work` at a time."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20
