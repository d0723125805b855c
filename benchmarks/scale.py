"""EOS on embeddings of ImageNet-LT's and iNaturalist-2018's shapes: seconds and memory by number of rows.

On a processor growing shares of the rows are measured, each in a process of its own, until the time is used
up; the seconds of the whole are projected from them. On a GPU the whole is run, and the search is compared
with differences in float64 for a sample of rows. The head is trained on HEAD_ROWS of the balanced rows: what
a row costs does not depend on how many there are. The table goes to benchmarks/results/scale.csv.

    python -m benchmarks.scale [--shape imagenet_lt|inaturalist] [--minutes 10]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import cpu_seconds
from benchmarks.data import head_config, long_tailed, wide_embeddings
from eos.heads import softmax
from eos.heads.rows import InterpolatedRows, balanced_rows
from eos.samplers.eos import EOS, Interpolations

RESULTS = Path(__file__).parent / "results" / "scale.csv"
# Classes, rows, rows of the largest and the smallest class.
SHAPES = {"imagenet_lt": (1000, 115_846, 1280, 5), "inaturalist": (8142, 437_513, 1000, 2)}
N_FEATURES, K = 2048, 10
HEAD_ROWS = 16_384
SHARES = tuple(2.0**-power for power in range(6, -1, -1))


@dataclass(frozen=True)
class Measured:
    """What one size took; seconds are the processor's on a processor, and the clock's on a GPU."""

    shape: str
    device: str
    rows: int
    new_rows: int
    fallback_classes: int
    triples_seconds: float
    head_rows: int
    head_seconds: float
    input_mib: float
    start_mib: float  # the process before it has data
    peak_mib: float
    kind: str = "measured"


def main() -> None:
    """Measure what there is time for, project the rest, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, help="both, if not given")
    parser.add_argument("--minutes", type=float, default=10, help="for each shape, on a processor")
    parser.add_argument(
        "--share", type=float, help=argparse.SUPPRESS
    )  # one size, by the processes started here
    options = parser.parse_args()
    if options.share:
        print(json.dumps(asdict(measure(options.shape, options.share))))
        return
    import pandas as pd

    from eos.storage.files import write_table

    rows: list[dict[str, Any]] = []
    for shape in [options.shape] if options.shape else SHAPES:
        measured = growing(shape, options.minutes)
        rows += [asdict(one) for one in measured]
        whole = SHAPES[shape][1]
        if len(measured) > 1 and measured[-1].rows < whole:
            rows.append(projected(measured, whole))
            print(f"not measured, projected: {told(rows[-1])}")
    write_table(RESULTS, pd.DataFrame(rows).round(3))


def growing(shape: str, minutes: float) -> list[Measured]:
    """Measure one share of the rows after the other while the next can be expected to end in time."""
    import torch

    end, taken = time.monotonic() + 60 * minutes, 0.0
    measured: list[Measured] = []
    for share in (1.0,) if torch.cuda.is_available() else SHARES:
        start = time.monotonic()
        if measured and start + 4 * taken > end:  # twice the rows, four times the distances
            break
        command = [sys.executable, "-m", "benchmarks.scale", "--shape", shape, "--share", str(share)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        *notes, result = done.stdout.splitlines()
        measured.append(Measured(**json.loads(result)))
        taken = time.monotonic() - start
        print(*notes, f"measured: {told(asdict(measured[-1]))}", sep="\n", flush=True)
    return measured


def measure(shape: str, share: float) -> Measured:
    """Draw triples for a share of the rows of each class, and train a head on some of them for one epoch."""
    import torch

    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else cpu_seconds
    start_mib = peak_mib()
    counts = np.ceil(long_tailed(*SHAPES[shape]) * share).astype(np.int64)
    X, y = wide_embeddings(counts, N_FEATURES)
    search: Any = K
    if gpu:
        from eos.samplers.device_neighbors import DeviceNeighbors

        search = DeviceNeighbors(K + 1)
        print(f"share of neighbors that are the exact ones: {exactness(search.fit(X), X, 200):.5f}")
    sampler = EOS(k_neighbors=search, random_state=0)
    start = clock()
    triples = sampler.fit_interpolations(X, y)
    triples_seconds = clock() - start
    start = clock()
    head_rows = train_head(X, y, triples)
    head_seconds = clock() - start
    return Measured(
        shape=shape,
        device="GPU" if gpu else "processor, one thread",
        rows=len(X),
        new_rows=len(triples),
        fallback_classes=len(sampler.fallback_classes_),
        triples_seconds=triples_seconds,
        head_rows=head_rows,
        head_seconds=head_seconds,
        input_mib=X.nbytes / 2**20,
        start_mib=start_mib,
        peak_mib=peak_mib(),
    )


def train_head(X: np.ndarray, y: np.ndarray, triples: Interpolations) -> int:
    """Train a head for one epoch on a sample of the balanced rows, and return how many it was."""
    rows = balanced_rows(X, triples.base, triples.partner, triples.step)
    labels = np.concatenate([y, triples.labels])
    chosen = np.random.default_rng(0).permutation(len(labels))[:HEAD_ROWS]
    sample = InterpolatedRows(X, rows.base[chosen], rows.partner[chosen], rows.step[chosen])
    softmax.fit(sample, labels[chosen], int(y.max()) + 1, head_config(epochs=1), 0)
    return len(chosen)


def exactness(search: Any, X: np.ndarray, n_queries: int) -> float:
    """Return the share of the neighbors of some rows that are those by differences in float64."""
    queries = np.random.default_rng(0).choice(len(X), min(n_queries, len(X)), replace=False)
    found = search.kneighbors(X[queries], return_distance=False)
    right = 0
    for query, rows in zip(queries, found, strict=True):
        squared = np.concatenate(
            [
                np.square(X[start : start + 4096].astype(np.float64) - X[query]).sum(axis=1)
                for start in range(0, len(X), 4096)
            ]
        )
        right += int(np.count_nonzero(squared[rows] <= np.partition(squared, len(rows) - 1)[len(rows) - 1]))
    return right / found.size


def exponent(rows: Any, seconds: Any) -> tuple[float, float]:
    """Return the power of the rows with which the seconds grow, and their factor: least squares in logs."""
    power, factor = np.polyfit(np.log(rows), np.log(seconds), 1)
    return float(power), float(np.exp(factor))


def projected(measured: list[Measured], whole: int) -> dict[str, Any]:
    """Return the seconds that all rows would take, by the growth over the largest sizes, three at most.

    Those of the head are for one epoch of the whole balanced set: row by row from the largest size.
    """
    last = measured[-3:]
    rows, seconds = zip(*((one.rows, one.triples_seconds) for one in last), strict=True)
    power, factor = exponent(rows, seconds)
    print(f"triples_seconds grow with rows ** {power:.2f}")
    # The search compares all pairs of rows: with more rows the power tends to 2, so this is the upper end.
    upper = last[-1].triples_seconds * (whole / last[-1].rows) ** 2
    print(f"triples_seconds, were they to grow with rows ** 2 from the largest size measured: {upper:.0f}")
    n_classes, _, largest, _ = SHAPES[last[-1].shape]
    balanced = n_classes * largest
    return {
        "shape": last[-1].shape,
        "device": last[-1].device,
        "rows": whole,
        "new_rows": balanced - whole,
        "triples_seconds": factor * whole**power,
        "head_rows": balanced,
        "head_seconds": last[-1].head_seconds / last[-1].head_rows * balanced,
        "input_mib": whole * N_FEATURES * 4 / 2**20,
        "kind": "projected",
    }


def told(row: dict[str, Any]) -> str:
    """Return one row of the table in words."""
    names = (
        "triples_seconds",
        "head_rows",
        "head_seconds",
        "input_mib",
        "start_mib",
        "peak_mib",
        "fallback_classes",
    )
    numbers = ", ".join(f"{name} {row[name]:.1f}" for name in names if name in row)
    return f"{row['shape']}, {row['device']}, {row['rows']} rows: {numbers}"


def peak_mib() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
