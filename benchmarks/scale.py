"""EOS on embeddings of ImageNet-LT's and iNaturalist-2018's shapes: seconds and memory by number of rows.

On a processor growing shares of the rows are measured, each in a process of its own, until the time is used
up; the seconds of the whole are projected from them. On a GPU the whole is run, and for a sample of rows the
neighbors are compared with those by distances in float64. Each phase is printed as it ends. The head is
trained on HEAD_ROWS of the balanced rows: what a row costs does not depend on how many there are. The table
goes to benchmarks/results/scale.csv.

    python -m benchmarks.scale [--shape imagenet_lt|inaturalist] [--minutes 10]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import cpu_seconds
from benchmarks.data import head_config, long_tailed, wide_embeddings
from eos.heads import softmax
from eos.heads.rows import InterpolatedRows, balanced_rows
from eos.samplers.device_neighbors import DeviceNeighbors
from eos.samplers.eos import EOS, Interpolations
from eos.samplers.neighbors import ExactNeighbors

RESULTS = Path(__file__).parent / "results" / "scale.csv"
# Classes, rows, rows of the largest and the smallest class.
SHAPES = {"imagenet_lt": (1000, 115_846, 1280, 5), "inaturalist": (8142, 437_513, 1000, 2)}
N_FEATURES, K = 2048, 10
HEAD_ROWS = 16_384
CHECKED_ROWS = 1000  # so many rows' neighbors are compared
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
        import torch

        device = "cuda" if torch.cuda.is_available() else None
        print(json.dumps(asdict(measure(options.shape, options.share, device))), flush=True)
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
            print(f"not measured, projected: {told(rows[-1])}", flush=True)
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
        measured.append(Measured(**result_of(command)))
        taken = time.monotonic() - start
        print(f"measured: {told(asdict(measured[-1]))}", flush=True)
    return measured


def result_of(command: list[str]) -> Any:
    """Run a program, print its lines as they come, and return the JSON object that one of them is."""
    result = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("{"):
                result = line
            else:
                print(line, end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(result)


@contextmanager
def phase(name: str, clock: Any = time.perf_counter) -> Iterator[list[float]]:
    """Print what is done and then its seconds, which are in the list given, too."""
    print(f"  {name} ...", flush=True)
    seconds: list[float] = []
    start = clock()
    yield seconds
    seconds.append(clock() - start)
    print(f"  {name}: {seconds[0]:.1f} s", flush=True)


class PrintedExact(ExactNeighbors):
    """The search on a processor, which says how long it takes."""

    def kneighbors(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
        """Find the nearest rows."""
        with phase(f"search for {len(X):,} rows", cpu_seconds):
            return super().kneighbors(X, n_neighbors, return_distance)


class PrintedDevice(DeviceNeighbors):
    """The search with PyTorch, which says how long it takes."""

    def fit(self, X: Any, y: Any = None) -> Any:
        """Copy the rows to the device, and wait until they are there."""
        import torch

        with phase("copying to the device"):
            super().fit(X, y)
            if self.device == "cuda":
                torch.cuda.synchronize()
        return self

    def kneighbors_of_rows(self, rows: np.ndarray, n_neighbors: int | None = None) -> np.ndarray:
        """Find the nearest rows."""
        with phase(f"search for {len(rows):,} rows"):
            return super().kneighbors_of_rows(rows, n_neighbors)


def measure(shape: str, share: float, device: str | None) -> Measured:
    """Draw triples for a share of the rows of each class, and train a head on some of them for one epoch.

    The search runs with PyTorch on the device, or, if that is None, with `ExactNeighbors`.
    """
    import torch

    gpu = device == "cuda"
    clock = time.perf_counter if gpu else cpu_seconds
    start_mib = peak_mib()
    with phase("making data", clock):
        counts = np.ceil(long_tailed(*SHAPES[shape]) * share).astype(np.int64)
        X, y = wide_embeddings(counts, N_FEATURES)
    search: Any = PrintedExact(K + 1)
    if device:
        search = PrintedDevice(K + 1, device=device)
        with phase("starting the device"):
            DeviceNeighbors(K + 1, device=device).fit(X[:1000]).kneighbors(X[:1000])
    sampler = EOS(k_neighbors=search, random_state=0)
    with phase("triples, with the checks of the data, the search and the drawing", clock) as triples_seconds:
        triples = sampler.fit_interpolations(X, y)
    if device:
        with phase("check of exactness"):
            share_exact = exactness(sampler.nn_k_, X, CHECKED_ROWS, device)
        print(f"  share of neighbors that are the exact ones: {share_exact:.5f}", flush=True)
        if gpu:
            peak = torch.cuda.max_memory_allocated() / 2**20
            print(f"  most memory used on the device: {peak:.0f} MiB", flush=True)
    with phase("head", clock) as head_seconds:
        head_rows = train_head(X, y, triples)
    return Measured(
        shape=shape,
        device="GPU" if gpu else "processor, one thread",
        rows=len(X),
        new_rows=len(triples),
        fallback_classes=len(sampler.fallback_classes_),
        triples_seconds=triples_seconds[0],
        head_rows=head_rows,
        head_seconds=head_seconds[0],
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


def exactness(search: Any, X: np.ndarray, n_queries: int, device: str) -> float:
    """Return the share of the neighbors of some rows that are the nearest ones by distances in float64.

    A neighbor counts if it is as near as the last of the nearest; squared distances that differ by less than
    1e-9 of the largest square of a row are equal. All rows pass through the device block by block.
    """
    import torch

    queries = np.random.default_rng(0).choice(len(X), min(n_queries, len(X)), replace=False)
    found = search.kneighbors(X[queries], return_distance=False)
    near = torch.as_tensor(X[queries], device=device).double()
    squares = near.square().sum(dim=1)
    nearest = near.new_full(found.shape, torch.inf)
    largest = 0.0
    for start in range(0, len(X), 8192):
        rows = torch.as_tensor(X[start : start + 8192], device=device).double()
        row_squares = rows.square().sum(dim=1)
        largest = max(largest, float(row_squares.max()))
        squared = squares[:, None] + row_squares - 2 * (near @ rows.T)
        nearest = torch.cat([nearest, squared], dim=1).topk(found.shape[1], largest=False).values
    last = nearest[:, -1] + 1e-9 * largest  # topk sorts
    right = 0
    for of_query in found.T:
        rows = torch.as_tensor(X[of_query], device=device).double()
        right += int(((rows - near).square().sum(dim=1) <= last).sum())
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
