"""The comparisons that the suite makes of equal computations: exact on a CPU, within a tolerance on a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import helpers
from tests.helpers import ROOT, same, same_files


def test_on_a_cpu_the_bytes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "DEVICE", "cpu")
    row = np.array([1.0, np.nan], np.float32)
    same(row, row.copy())
    for other in (np.nextafter(row, np.float32(2)), row.astype(np.float64), row[:1], np.array([-0.0, 1])):
        with pytest.raises(AssertionError):
            same(row, other)
    with pytest.raises(AssertionError):
        same([0.0], [-0.0])
    same([1.0], [1.001], rtol=0.01)


def test_on_a_gpu_rounding_may_differ_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "DEVICE", "cuda")
    same([1.0, 0.0], [1.001, 0.0005])
    same(np.array([255, 0], np.uint8), np.array([254, 1], np.uint8))
    for one, other in (
        ([1.0], [1.01]),
        ([0.0], [0.01]),
        ([1.0], [np.nan]),
        (np.array([0], np.uint8), np.array([255], np.uint8)),
        (np.array([0], np.uint8), np.array([2], np.uint8)),
        (np.zeros(2, np.float32), np.zeros(2)),
    ):
        with pytest.raises(AssertionError):
            same(one, other)


@pytest.mark.parametrize(
    ("one", "near", "far"),
    [
        ("step\tloss\n1\t0.5\n", "step\tloss\n1\t0.5001\n", "step\tloss\n1\t0.6\n"),
        ('{"loss": 1e-3}', '{"loss": 0.00101}', '{"lost": 1e-3}'),
    ],
)
def test_files(one: str, near: str, far: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("one", "near", "far")]
    for path, text in zip(paths, (one, near, far), strict=True):
        path.write_text(text)
    for device, found in (("cpu", paths[:1]), ("cuda", paths[:2])):
        monkeypatch.setattr(helpers, "DEVICE", device)
        for path in paths:
            if path in found:
                same_files(paths[0], path)
            else:
                with pytest.raises(AssertionError):
                    same_files(paths[0], path)


def test_files_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "DEVICE", "cuda")
    for name, value, label in (
        ("one", 1.0, "a"),
        ("near", 1.0005, "a"),
        ("far", 1.1, "a"),
        ("other", 1.0, "b"),
    ):
        np.savez(tmp_path / f"{name}.npz", x=np.array([value]), names=np.array([label]))
    same_files(tmp_path / "one.npz", tmp_path / "near.npz")
    for name in ("far", "other"):
        with pytest.raises(AssertionError):
            same_files(tmp_path / "one.npz", tmp_path / f"{name}.npz")
    same_files(tmp_path / "one.npz", tmp_path / "far.npz", of_training=True)


def test_a_device_that_there_is_not_stops_the_suite() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "tests/test_helpers.py",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"EOS_TEST_DEVICE": "gpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "EOS_TEST_DEVICE=gpu: no device of the tests; set it to cpu or cuda" in done.stderr
