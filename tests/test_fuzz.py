"""Every reader reads sound files, and damaged ones or says that they are; `make torture` goes on longer."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from tools.torture.bad_files import quiet
from tools.torture.fuzz import TARGETS, main, mutated, read

# Trials in the suite, where a reader takes some milliseconds or more.
FEW = {"params": 2, "classifier": 5, "network": 25, "lock": 25, "zip": 25, "tar": 25, "parquet": 40}


@pytest.mark.parametrize("name", TARGETS)
def test_sound_files_are_read_and_damaged_ones_are_that_or_refused(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    (tmp_path / "seeds").mkdir()
    (tmp_path / "place").mkdir()
    seeds = target.seeds(tmp_path / "seeds")
    for content in seeds:
        assert read(target, tmp_path / "place", content)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    with quiet():  # polars tells on the standard error where it panics
        for trial in range(FEW.get(name, 100)):
            read(target, tmp_path / "place", mutated(random, seeds[trial % len(seeds)]))


def test_one_file_is_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes(b"no archive")
    assert main(["zip", "--file", str(tmp_path / "x")]) == 0
    assert capsys.readouterr().out == "refused\n"
