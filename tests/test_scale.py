"""The parts of benchmarks/scale.py that can be checked without its hours."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from benchmarks import scale
from benchmarks.data import long_tailed, wide_embeddings
from benchmarks.scale import SHAPES, Measured, exactness, exponent, measure, projected, result_of

from eos.samplers.neighbors import ExactNeighbors


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_add_up_and_fall(shape: str) -> None:
    n_classes, total, largest, smallest = SHAPES[shape]
    counts = long_tailed(n_classes, total, largest, smallest)
    assert (len(counts), counts.sum()) == (n_classes, total)
    assert (counts[0], counts[-1]) == (largest, smallest)
    assert (np.diff(counts) <= 0).all()


def test_embeddings_are_the_same_every_time_and_overlap() -> None:
    counts = long_tailed(6, 90, 40, 3)
    features, labels = wide_embeddings(counts, 512)
    assert np.array_equal(features, wide_embeddings(counts, 512)[0])
    assert np.array_equal(np.bincount(labels), counts)
    assert features.dtype == np.float32
    nearest = ExactNeighbors(11).fit(features).kneighbors(features, return_distance=False)
    assert 0.05 < (labels[nearest[:, 1:]] != labels[:, np.newaxis]).mean() < 0.95


def test_exactness_counts_wrong_neighbors() -> None:
    features, _ = wide_embeddings(np.array([50, 20]), 8)
    assert exactness(ExactNeighbors(5).fit(features), features, 30, "cpu") == 1.0
    moved = features.copy()
    moved[:, 0] += np.linspace(0, 9, len(moved), dtype=np.float32)
    assert 0 < exactness(ExactNeighbors(5).fit(moved), features, 30, "cpu") < 0.9


def test_exactness_counts_any_of_equally_near_rows() -> None:
    features, _ = wide_embeddings(np.array([40]), 8)
    features = np.tile(features, (3, 1))  # each row has two twins; one neighbor is asked for

    class Last(ExactNeighbors):
        def kneighbors(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
            squared = ((X[:, np.newaxis] - features) ** 2).sum(axis=2)
            return len(features) - 1 - squared[:, ::-1].argmin(axis=1, keepdims=True)

    assert exactness(Last(1).fit(features), features, 120, "cpu") == 1.0


def test_the_run_on_a_device(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(SHAPES, "small", (6, 400, 200, 5))
    monkeypatch.setattr(scale, "HEAD_ROWS", 300)
    on_device, plain = (measure("small", 1.0, device) for device in ("cpu", None))
    assert (on_device.rows, on_device.new_rows, on_device.head_rows) == (400, 800, 300)
    assert (on_device.rows, on_device.new_rows) == (plain.rows, plain.new_rows)
    printed = capfd.readouterr().out
    phases = (
        "making",
        "starting",
        "copying to the device",
        "search for 200 rows",
        "triples",
        "check",
        "head",
    )
    ended = re.findall(r"^  (.*): \d+\.\d s$", printed, re.MULTILINE)[:7]
    assert [name for name, start in zip(ended, phases, strict=True) if not name.startswith(start)] == []
    assert "the exact ones: 1.00000\n" in printed


def test_output_of_a_process_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    program = "print('one'); print('two'); print('{\"rows\": 3}')"
    assert result_of([sys.executable, "-c", program]) == {"rows": 3}
    assert capfd.readouterr().out == "one\ntwo\n"
    with pytest.raises(subprocess.CalledProcessError):
        result_of([sys.executable, "-c", program + "; raise SystemExit(3)"])
    assert capfd.readouterr().out == "one\ntwo\n"


def test_growth_is_fitted_and_projected() -> None:
    assert exponent([100, 200, 400], [3.0, 12.0, 48.0]) == pytest.approx((2.0, 3e-4))
    sizes = [
        Measured("imagenet_lt", "processor", rows, 9, 0, 1e-6 * rows**2, 100, 2.0, 1.0, 1.0, 2.0)
        for rows in (10, 1000, 2000, 4000)  # the first is far from the growth at last, and left out
    ]
    result = projected(sizes, 8000)
    assert result["triples_seconds"] == pytest.approx(64.0)
    assert (result["kind"], result["rows"], result["head_rows"]) == ("projected", 8000, 1_280_000)
    assert result["head_seconds"] == pytest.approx(25_600.0)  # 0.02 s a row, 1,000 classes of 1,280
