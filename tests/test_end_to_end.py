"""The pipeline in a fresh clone, made small: it runs, runs once, and reruns only what a change touches."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

HEADS = ["own", "none", "smote", "eos"]


class Clone:
    """A clone in which commands are run as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The stages call `python`: the one that runs the tests.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def succeed(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stages_run(self, *command: str) -> list[str]:
        return re.findall(r"Running stage '([\w@-]+)'", self.succeed(*command))

    def change_parameters(self, **sections: Any) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text()) | sections
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def commit(self) -> None:
        self.succeed("git", "add", "--all")
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        self.succeed("git", *identity, "commit", "--quiet", "--message", "state")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    clone = Clone(folder)
    clone.succeed("git", "init", "--quiet")
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["datasets"]["digits"]["training"]["epochs"] = 2
    content["networks"]["ce"]["heads"] = HEADS
    grid, row = {"networks": ["ce"], "heads": HEADS}, {"network": "ce", "heads": ["smote", "eos"]}
    content["datasets"]["digits"]["generators"] = {"gamo": {"epochs": 1}}
    clone.change_parameters(
        axes={
            "datasets": ["digits"],
            "cuts": [0],
            "networks": ["ce"],
            "pixel_samplers": ["smote"],
            "pixel_networks": ["ce"],
            "generators": ["gamo"],
            "generator_networks": ["ce"],
        },
        datasets=content["datasets"],
        networks=content["networks"],
        head_training=content["head_training"] | {"epochs": 2, "curve_epochs": 3, "seeds": [0, 1]},
        tables=content["tables"] | {"table2": grid, "table4": {"network": "ce", "heads": ["eos"]}},
        figures={
            "figure3": grid,
            "figure4": {"networks": ["ce", "asl"]},
            "figure5": grid,
            "figure6": content["figures"]["figure6"] | {"points": 30},
            "figure7": row,
        },
    )
    clone.commit()
    return clone


def test_the_whole_pipeline(clone: Clone) -> None:
    """This one comes first; the others start from its results."""
    cell = "digits-0-ce"
    ran = clone.stages_run("dvc", "repro")
    assert ran[:3] == ["check", "prepare@digits", "split@digits-0"]
    assert sorted(ran[3:]) == sorted(
        [
            *(f"{stage}@{cell}" for stage in ("train", "extract", "gap", "oversample", "retrain")),
            "augment@digits-0-smote",
            "generate@digits-0-gamo",
            "train_augmented@digits-0-smote-ce",
            "train_generated@digits-0-gamo-ce",
            "score@digits-0",
            "tables",
            *("figures@digits", "figure4", "figure6@digits"),
        ]
    )
    scores = pd.read_csv(clone.folder / "metrics/scores/digits-0.csv")
    assert scores.groupby("head")["seed"].apply(list).to_dict() == {
        "own": [0],
        "none": [0, 1],
        "smote": [0, 1],
        "eos": [0, 1],
    }
    assert scores["BAC"].between(0, 1).all()
    classes = pd.read_csv(clone.folder / "metrics/classes/digits-0.csv")
    assert classes.loc[classes["head"] == "own", "train_count"].tolist() == [
        *(128, 91, 65, 47, 33, 24, 17, 12, 8, 6)
    ]
    gap = classes.pivot_table(index="class", columns="head", values="gap")
    assert (gap["smote"] - gap["none"]).abs().max() < 1e-3  # interpolation within a class widens no range
    assert (gap["eos"] <= gap["none"]).all()
    assert gap["eos"].sum() < gap["none"].sum()
    for name in ("table1", "table2", "table3", "table4", "table5", "orderings"):
        assert (clone.folder / f"metrics/tables/{name}.md").read_text().startswith("#")
        assert len((clone.folder / f"metrics/tables/{name}.csv").read_text().splitlines()) > 1
    for name in ("digits/figure3", "figure4", "digits/figure5", "digits/figure6", "digits/figure7"):
        assert (clone.folder / f"plots/{name}.svg").read_text().startswith("<?xml")
    assert (clone.folder / "plots/digits/gamo-0.png").read_bytes().startswith(b"\x89PNG")
    one = pd.read_csv(clone.folder / "metrics/tables/table1.csv", keep_default_na=False)
    run = one[one["status"] == "run"]
    assert set(zip(run["space"], run["method"], strict=True)) == {
        ("pixel", "smote"),
        ("embedding", "smote"),
        ("embedding", "eos"),
    }
    embeddings = np.load(clone.folder / "data/embeddings/digits-0/ce.npz", allow_pickle=False)
    assert embeddings["train_features"].shape == (431, 64)
    assert embeddings["precision"] == "fp32"  # as params.yaml has it for digits


def test_a_second_run_has_nothing_to_do(clone: Clone) -> None:
    assert clone.stages_run("dvc", "repro") == []
    clone.commit()


def test_an_experiment_reruns_only_what_it_touches(clone: Clone) -> None:
    before = pd.read_csv(clone.folder / "metrics/classes/digits-0.csv")
    ran = clone.stages_run("dvc", "exp", "run", "-S", "heads.eos.k_neighbors=100")
    assert sorted(ran) == sorted(
        [
            "check",
            "oversample@digits-0-ce",
            "retrain@digits-0-ce",
            "score@digits-0",
            "tables",
            "figures@digits",
            "figure6@digits",
        ]
    )
    after = pd.read_csv(clone.folder / "metrics/classes/digits-0.csv")
    same = before["head"] != "eos"
    pd.testing.assert_frame_equal(before[same], after[same])
    assert not before[~same].equals(after[~same])
    assert "k_neighbors" in clone.succeed("dvc", "params", "diff")
    assert "digits_BAC_eos" in clone.succeed("dvc", "metrics", "diff")
    assert "digits_BAC_eos" in clone.succeed("dvc", "exp", "show", "--csv")
    assert "figure3.svg" in clone.succeed("dvc", "plots", "show", "--json")


def test_what_was_run_before_comes_back_from_the_run_cache(clone: Clone) -> None:
    """Going back to the first parameters runs no sampler and no head again, and gives the same bytes."""
    clone.succeed("git", "checkout", "--quiet", "params.yaml")
    output = clone.succeed("dvc", "repro")
    for stage in ("oversample", "retrain"):
        assert f"Stage '{stage}@digits-0-ce' is cached" in output
    assert clone.succeed("git", "status", "--porcelain") == ""


def test_run_times_are_told_of_what_ran_here(clone: Clone) -> None:
    page = clone.succeed("python", "stages/runtime.py")
    for way in ("pixel SMOTE + training", "GAMO + training", "training + EOS + head"):
        assert way in page
    assert page == (clone.folder / "data/seconds/runtime.md").read_text()
    assert clone.succeed("git", "status", "--porcelain") == ""
    shutil.move(clone.folder / "data/seconds/augment", clone.folder / "data/seconds/elsewhere")
    assert "not measured" in clone.succeed("python", "stages/runtime.py")
    shutil.move(clone.folder / "data/seconds/elsewhere", clone.folder / "data/seconds/augment")


def test_without_balanced_images_and_without_the_figures_network(clone: Clone) -> None:
    """Cells that were not run are said to be so, in tables and figures."""
    overrides = [f"axes.{axis}=[]" for axis in ("pixel_samplers", "generators")]
    overrides.append("figures.figure6.network=asl")
    arguments = [argument for override in overrides for argument in ("-S", override)]
    ran = clone.stages_run("dvc", "exp", "run", *arguments)
    assert sorted(ran) == ["check", "figure6@digits", "tables"]
    three = pd.read_csv(clone.folder / "metrics/tables/table3.csv", keep_default_na=False)
    assert set(three.loc[three["method"] == "gamo", "status"]) == {"not run"}
    assert "not run" in (clone.folder / "metrics/tables/table3.md").read_text()
    assert len(pd.read_csv(clone.folder / "metrics/figures/digits/figure6.csv")) == 0
    clone.succeed("bash", "-c", "git checkout . && git clean -fdq metrics plots && dvc checkout")
    assert clone.stages_run("dvc", "repro") == []


def test_the_way_back_that_the_readme_tells(clone: Clone) -> None:
    clone.succeed("dvc", "exp", "run", "-S", "heads.eos.step_size=0.5")
    assert clone.succeed("git", "status", "--porcelain") != ""
    way = "git checkout . && git clean -fdq metrics plots && dvc checkout"
    assert way in (ROOT / "README.md").read_text()
    clone.succeed("bash", "-c", way)
    assert clone.succeed("git", "status", "--porcelain") == ""
    assert clone.stages_run("dvc", "repro") == []


def test_the_same_stage_makes_the_same_bytes(clone: Clone) -> None:
    """DVC would otherwise see a change where there is none; and stages that were forked make them too."""
    clone.succeed("python", "stages/warm.py", "repro", "--force")
    assert clone.succeed("git", "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("axes.networks=[cee,ce]", "axes.networks[0]: unknown network 'cee'; did you mean 'ce'?"),
        ("axes.cuts=[0,0]", "axes.cuts: [0, 0] is not possible: 0 is listed twice"),
        ("+foo=1", "unknown key 'foo'"),
        ("heads.eos.step_size=1.5", "params.yaml: heads.eos.step_size: 1.5 is not possible"),
        ("datasets.digits.imbalance.ratio=1000", "imbalance ratio 1000.0: class"),
        ("datasets.digits.source.test_per_class=174", "class 8 has 174 images"),
        ("selection=validation", "split.validation_fraction is 0"),
    ],
)
def test_bad_parameters_stop_with_one_error_and_lose_nothing(
    clone: Clone, override: str, expected: str
) -> None:
    results = clone.folder / "metrics/scores/digits-0.csv"
    before = results.read_bytes()
    done = clone.run("dvc", "exp", "run", "-S", override)
    assert done.returncode != 0
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert results.read_bytes() == before
    clone.succeed("git", "checkout", "--quiet", "params.yaml")
    assert "deleted" not in clone.succeed("git", "status")
    clone.succeed("git", "checkout", "--quiet", "--", ".")
    clone.succeed("dvc", "checkout")


def test_a_network_that_lacks_what_goes_with_it_is_named(clone: Clone) -> None:
    path = clone.folder / "models/networks/digits-0/ce/network.json"
    whole = path.read_bytes()
    path.unlink()
    path.write_text('{"mean": [0.3], "std": [0.4], "epochs": {}}')
    done = clone.run("python", "stages/extract.py", "digits", "0", "ce")
    path.write_bytes(whole)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: models/networks/digits-0/ce/network.json: does not hold 'last'; run"
    )


def test_too_little_memory_is_told(clone: Clone) -> None:
    path = clone.folder / "params.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("crop_padding: 1\n", "crop_padding: 1000000\n"))
    done = clone.run("python", "stages/train.py", "digits", "0", "ce")
    path.write_text(whole)
    assert done.returncode == 1
    assert "error: out of memory (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_truncated_input_is_named(clone: Clone) -> None:
    path = clone.folder / "data/splits/digits-0.npz"
    whole = path.read_bytes()
    path.unlink()  # it may be a link into the cache
    path.write_bytes(whole[:200])
    done = clone.run("python", "stages/train.py", "digits", "0", "ce")
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/splits/digits-0.npz: damaged")
    path.unlink()
    done = clone.run("python", "stages/train.py", "digits", "0", "ce")
    assert done.stderr.startswith("error: data/splits/digits-0.npz: no such file")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["split.py", "digit", "0"],
            "error: params.yaml: datasets: unknown dataset 'digit'; did you mean",
        ),
        (["split.py", "digits", "-1"], "error: cut '-1': must be a whole number from 0"),
        (
            ["gap.py", "digits", "0", "cee"],
            "error: params.yaml: networks: unknown network 'cee'; did you",
        ),
        (["gap.py", "digits"], "usage: python stages/gap.py DATASET CUT NETWORK"),
    ],
)
def test_wrong_arguments_of_a_stage(clone: Clone, arguments: list[str], expected: str) -> None:
    script, *cell = arguments
    done = clone.run("python", f"stages/{script}", *cell)
    assert done.returncode == 1
    assert done.stderr.startswith(expected)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda text: "a,b\n1,2\n", "has no column"),
        (lambda text: text.splitlines()[0] + "\n", "holds no rows"),
        (lambda text: text[: len(text) // 2], "its last line is cut off"),
        (
            lambda text: re.sub(r"(,last,\d+,)[^,]*", r"\1high", text),
            "column 'BAC' holds text where numbers belong",
        ),
    ],
)
def test_damaged_results_are_named(clone: Clone, damage: Callable[[str], str], expected: str) -> None:
    path = clone.folder / "metrics/scores/digits-0.csv"
    whole = path.read_text()
    path.write_text(damage(whole))
    done = clone.run("python", "stages/tables.py")
    path.write_text(whole)
    assert done.returncode == 1
    assert done.stderr.startswith("error: metrics/scores/digits-0.csv: ")
    assert expected in done.stderr
