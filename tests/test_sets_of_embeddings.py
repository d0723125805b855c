"""Embeddings that were made elsewhere, through the whole pipeline, in a fresh clone without images."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file

from eos.pipeline.processor import why_not_portable
from tests.test_end_to_end import NEWER_CODE, Clone, copied

pytestmark = pytest.mark.slow

HEADS = ["own", "none", "smote", "eos"]
NAMES = np.array(["oak", "ash", "elm", "yew"])
STAGES = [
    *(f"{stage}_embeddings@plants" for stage in ("prepare", "gap", "oversample", "retrain", "score")),
    *(f"{stage}_embeddings@plants" for stage in ("figures", "figure4", "figure6")),
    *("tables", "figure4", "methods"),
]


def write_set(folder: Path, *, seed: int = 0) -> None:
    """Write two networks on the same rows: one with its classifier, and one of another width without."""
    random = np.random.default_rng(seed)
    labels, tested = np.repeat([0, 1, 2, 3], [60, 25, 12, 5]), np.repeat([0, 1, 2, 3], 15)
    folder.mkdir(parents=True, exist_ok=True)
    for name, width in (("ce", 6), ("dinov2", 9)):
        centers = random.normal(size=(4, width))
        arrays: dict[str, Any] = {"train_labels": labels, "test_labels": tested}
        for part, of in (("train", labels), ("test", tested)):
            rows = centers[of] + random.normal(size=(len(of), width))
            arrays[f"{part}_features"] = rows.astype(np.float16)
        if name == "ce":
            classifier = {"classifier_weight": centers, "classifier_bias": -(centers**2).sum(axis=1) / 2}
            np.savez_compressed(folder / "ce.npz", class_names=NAMES, **classifier, **arrays)
        else:
            metadata = {"class_names": '["oak", "ash", "elm", "yew"]'}
            save_file(arrays, folder / "dinov2.safetensors", metadata)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = copied(tmp_path_factory.mktemp("clone"))
    content = yaml.safe_load((clone.folder / "params.yaml").read_text())
    empty: dict[str, Any] = {"datasets": [], "pixel_samplers": [], "generators": []}
    definition = {
        "networks": {"ce": "ce.npz", "dinov2": "dinov2.safetensors"},
        "heads": HEADS,
        "test_share": None,
        "seed": 0,
        "standardize": False,
        "portable": True,
    }
    clone.change_parameters(
        axes=content["axes"] | empty | {"embeddings": ["plants"]},
        embeddings=content["embeddings"] | {"plants": definition},
        head_training=content["head_training"] | {"batch_size": 16, "seeds": [0, 1]},
        figures=content["figures"] | {"figure6": content["figures"]["figure6"] | {"points": 30}},
    )
    return clone


def test_a_file_that_is_not_there_stops_everything(clone: Clone) -> None:
    """This one comes first, the whole pipeline second; the others start from its results."""
    before = (clone.folder / "metrics/summary.json").read_bytes()
    done = clone.run("dvc", "repro")
    assert done.returncode != 0
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: params.yaml: embeddings.plants.networks.ce: no file data/given/plants/ce.npz; put or link it "
        "there"
    ]
    assert (clone.folder / "metrics/summary.json").read_bytes() == before


def test_every_table_and_figure_that_needs_no_images(clone: Clone) -> None:
    write_set(clone.folder / "data/given/plants")
    clone.commit()
    assert sorted(clone.stages_run("dvc", "repro")) == sorted(["check", "heads", *STAGES])
    scores = pd.read_csv(clone.folder / "metrics/scores/plants-0.csv")
    runs = scores.groupby(["network", "head"])["seed"].apply(list).to_dict()
    assert runs == {
        (network, head): [0] if head == "own" else [0, 1]
        for network in ("ce", "dinov2")
        for head in HEADS
        if (network, head) != ("dinov2", "own")
    }
    assert (scores["BAC"] > 0.5).all()  # by chance it is 0.25
    classes = pd.read_csv(clone.folder / "metrics/classes/plants-0.csv")
    own = classes[(classes["network"] == "dinov2") & (classes["head"] == "own")]
    plain = classes[(classes["network"] == "dinov2") & (classes["head"] == "none")]
    assert own["class_name"].tolist() == NAMES.tolist()
    assert own["train_count"].tolist() == [60, 25, 12, 5]
    assert own["recall"].isna().all()
    assert own["gap"].tolist() == plain["gap"].tolist()
    assert (own["gap"] > 0).all()

    two = (clone.folder / "metrics/tables/table2.md").read_text()
    assert "## plants" in two
    assert re.search(r"\| dinov2 +\| No over-sampling", two)  # its own classifier has no row
    assert "- Own classifier (dinov2): the file of the embeddings has no classifier" in " ".join(two.split())
    for network, told in (
        ("ce", "the classifier that came"),
        ("dinov2", "the file of the embeddings has no"),
    ):
        assert told in (clone.folder / "metrics/notes/plants-0.csv").read_text(), network
        assert told in two, network
    four = pd.read_csv(clone.folder / "metrics/tables/table4.csv")
    assert set(four["network"]) == {"ce", "dinov2"}
    for number in (1, 3, 5):  # these need images
        assert len(pd.read_csv(clone.folder / f"metrics/tables/table{number}.csv")) == 0
        assert (
            "Nothing that this table compares was run."
            in (clone.folder / f"metrics/tables/table{number}.md").read_text()
        )
    claims = pd.read_csv(clone.folder / "metrics/tables/claims.csv")
    assert {"eos_above_own", "gap_grows_with_rarity", "eos_lowers_gap"} <= set(claims["claim"])
    assert set(claims.loc[claims["claim"] == "eos_above_smote", "cell"]) == {"ce", "dinov2"}
    numbers = json.loads((clone.folder / "metrics/summary.json").read_text())
    assert {"own", "smote", "eos", "gap_eos", "claims"} <= set(numbers["plants"])
    for number, heads in ((3, {"own", "smote", "eos"}), (5, {"none", "smote", "eos"})):
        shown = pd.read_csv(clone.folder / f"metrics/figures/plants/figure{number}.csv")
        assert set(shown.loc[shown["network"] == "dinov2", "head"]) == heads
    for number, network in ((4, "ce"), (7, "ce")):
        shown = pd.read_csv(clone.folder / f"metrics/figures/plants/figure{number}.csv")
        assert network in set(shown["network"])
    assert len(pd.read_csv(clone.folder / "metrics/figures/plants/figure6.csv")) > 0
    for name in ("recall", "confusion"):
        shown = pd.read_csv(clone.folder / f"metrics/figures/plants/{name}.csv")
        assert set(shown.loc[shown["network"] == "dinov2", "head"]) == {"smote", "eos"}
    for name in ("figure3", "figure4", "figure5", "figure6", "figure7", "recall", "confusion", "settings"):
        assert (clone.folder / f"plots/plants/{name}.svg").read_text().startswith("<svg")


def test_a_second_run_has_nothing_to_do(clone: Clone) -> None:
    assert clone.stages_run("dvc", "repro") == []
    clone.commit()


@pytest.mark.skipif(why_not_portable() is not None, reason=str(why_not_portable()))
def test_another_environment_makes_the_same_bytes(clone: Clone) -> None:
    cells = STAGES[:5]
    ran = clone.stages_run("dvc", "repro", "--force", "--single-item", *cells, **NEWER_CODE)
    assert set(ran) == set(cells)
    assert clone.succeed("git", "status", "--porcelain") == ""


def test_a_changed_file_runs_its_set_again(clone: Clone) -> None:
    before = pd.read_csv(clone.folder / "metrics/scores/plants-0.csv")
    write_set(clone.folder / "data/given/plants", seed=1)
    assert clone.changed_stages() == {"prepare_embeddings@plants"}
    assert clone.stages_run("dvc", "repro", STAGES[4]) == STAGES[:5]
    after = pd.read_csv(clone.folder / "metrics/scores/plants-0.csv")
    assert not after["BAC"].equals(before["BAC"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train_labels": np.repeat([0, 1, 2, 3], [60, 25, 11, 6])},
            "class counts differ from those of 'ce'",
        ),
        ({"train_features": np.full((102, 9), np.nan)}, "train_features: row 0 holds NaN"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(clone: Clone, changes: dict[str, Any], expected: str) -> None:
    labels, tested = np.repeat([0, 1, 2, 3], [60, 25, 12, 5]), np.arange(4)
    arrays = {"train_features": np.ones((102, 9)), "train_labels": labels}
    arrays |= {"test_features": np.ones((4, 9)), "test_labels": tested}
    path = clone.folder / "data/given/plants/dinov2.safetensors"
    path.unlink()
    save_file(arrays | changes, path, {"class_names": '["oak", "ash", "elm", "yew"]'})
    done = clone.run("python", "stages/prepare_embeddings.py", "plants")
    assert done.returncode == 1
    assert "data/given/plants/dinov2.safetensors: " in done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_stages_of_images_take_no_set(clone: Clone) -> None:
    done = clone.run("python", "stages/split.py", "plants", "0")
    assert done.stderr.startswith("error: params.yaml: datasets: unknown dataset 'plants'")
