"""The pipeline in a fresh clone, made small: it runs, runs once, and reruns only what a change touches."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from eos.pipeline.processor import why_not_portable
from tests.clones import Clone, copied
from tests.helpers import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cpu_only(reason="the committed bytes are those of portable code")]

HEADS = ["own", "none", "smote", "eos"]
TRAININGS = ["train@digits-0-ce", "train_augmented@digits-0-smote-ce", "train_generated@digits-0-gamo-ce"]

WAY_BACK = (
    "git reset -q --hard && git clean -fdq metrics plots\n"
    "git clean -fdqX data/embeddings data/gap data/oversampled models && dvc checkout"
)

# What people may have in their environment. The first is what a processor with AVX-512 takes by itself, the
# second what nearly none does: on every machine one of them would change the bytes if the stages let it.
NEWER_CODE = {
    "ATEN_CPU_CAPABILITY": "avx512",
    "MKL_CBWR": "AUTO",
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",
    "OMP_NUM_THREADS": "2",
    "ONEDNN_MAX_CPU_ISA": "ALL",
    "OPENBLAS_CORETYPE": "SkylakeX",
}
OLDER_CODE = NEWER_CODE | {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("clone")
    clone = copied(folder)
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["datasets"]["digits"]["training"]["epochs"] = 2
    content["networks"]["ce"]["heads"] = HEADS
    grid, row = {"networks": ["ce"], "heads": HEADS}, {"network": "ce", "heads": ["smote", "eos"]}
    content["datasets"]["digits"]["generators"] = {"gamo": {"epochs": 1}}
    clone.change_parameters(
        axes={
            "datasets": ["digits"],
            "embeddings": [],
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
        tables=content["tables"]
        | {"table2": grid, "table4": {"network": "ce", "heads": ["eos"]}, "table5": grid},
        figures={
            "figure3": grid,
            "figure4": {"networks": ["ce", "asl"]},
            "figure5": grid,
            "figure6": content["figures"]["figure6"] | {"points": 30},
            "figure7": row,
            "recall": grid,
            "confusion": grid,
        },
    )
    clone.commit()
    return clone


def test_the_whole_pipeline(clone: Clone) -> None:
    """This one comes first; the others start from its results."""
    cell = "digits-0-ce"
    ran = clone.stages_run("dvc", "repro")
    assert ran[:4] == ["check", "heads", "prepare@digits", "split@digits-0"]
    assert sorted(ran[4:]) == sorted(
        [
            *TRAININGS,
            *(f"{stage}@{cell}" for stage in ("extract", "oversample", "retrain")),
            "gap@digits-0",
            "augment@digits-0-smote",
            "generate@digits-0-gamo",
            "sheet@digits-0-gamo",
            "score@digits-0",
            "score_augmented@digits-0-smote",
            "score_generated@digits-0-gamo",
            "tables",
            *("figures@digits", "figure4", "figure6@digits", "methods"),
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
    confusion = pd.read_csv(clone.folder / "metrics/confusion/digits-0.csv")
    assert confusion.groupby("head")["count"].sum().to_dict() == {
        head: 500 * len(scores[scores["head"] == head]) for head in HEADS
    }
    right = confusion[confusion["class"] == confusion["predicted"]].set_index(["head", "class"])["count"]
    totals = confusion.groupby(["head", "class"])["count"].sum()
    recall = (right / totals).fillna(0).groupby("head").mean()
    assert recall.to_dict() == pytest.approx(scores.groupby("head")["BAC"].mean().to_dict())
    gap = classes.pivot_table(index="class", columns="head", values="gap")
    assert (gap["smote"] - gap["none"]).abs().max() < 1e-3  # interpolation within a class widens no range
    assert (gap["eos"] <= gap["none"]).all()
    assert gap["eos"].sum() < gap["none"].sum()
    for name in ("table1", "table2", "table3", "table4", "table5", "claims"):
        assert (clone.folder / f"metrics/tables/{name}.md").read_text().startswith("#")
        assert len((clone.folder / f"metrics/tables/{name}.csv").read_text().splitlines()) > 1
    drawn = ("figure3", "figure5", "figure6", "figure7", "recall", "confusion", "settings")
    for name in ("figure4", *(f"digits/{name}" for name in drawn)):
        assert (clone.folder / f"plots/{name}.svg").read_text().startswith("<svg")
    assert (clone.folder / "plots/digits/gamo-0.png").read_bytes().startswith(b"\x89PNG")
    one = pd.read_csv(clone.folder / "metrics/tables/table1.csv", keep_default_na=False)
    assert set(zip(one["space"], one["method"], strict=True)) == {
        ("pixel", "smote"),
        ("embedding", "smote"),
        ("embedding", "eos"),
    }
    embeddings = np.load(clone.folder / "data/embeddings/digits-0/ce.npz", allow_pickle=False)
    assert embeddings["train_features"].shape == (431, 64)
    assert embeddings["precision"] == "fp32"  # because digits is portable


def test_a_second_run_has_nothing_to_do(clone: Clone) -> None:
    assert clone.stages_run("dvc", "repro") == []
    clone.commit()


def test_a_classifier_is_taken_home(clone: Clone) -> None:
    """Under the switches of its portable data set, whatever the environment says, in another folder."""
    model, pictures = clone.folder.parent / "model", clone.folder.parent / "pictures"
    clone.change_parameters(selection="test")
    refused = clone.run("python", "-m", "eos", "export", "digits-0-ce-eos", str(model))
    assert (refused.returncode, refused.stdout) == (1, "")
    told = "error: digits-0-ce-eos: changed since the last run: extract: selection, retrain: selection; run"
    assert refused.stderr.startswith(told)
    clone.succeed("git", "checkout", "--quiet", "params.yaml")
    shown = clone.succeed("python", "-m", "eos", "export", "digits-0-ce-eos", str(model), **NEWER_CODE)
    assert "its logits are those of the pipeline, bit for bit\n" in shown
    trained = json.loads((model / "classifier.json").read_text())["trained_on"]
    assert trained["commit"] == clone.succeed("git", "rev-parse", "HEAD").strip()
    assert trained["code_changed_since"] == []
    pictures.mkdir()
    images = np.load(clone.folder / "data/images/digits.npz", allow_pickle=False)["test_images"]
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(pictures / f"{number:03}.png")
    shown = clone.succeed("python", "-m", "eos", "predict", str(model), str(pictures), **NEWER_CODE)
    logits = np.load(clone.folder / "models/heads/digits-0/ce/eos.npz", allow_pickle=False)["test_logits"][0]
    assert [line.split("\t")[1] for line in shown.splitlines()] == logits.argmax(axis=1).astype(str).tolist()


def test_an_experiment_reruns_only_what_it_touches(clone: Clone) -> None:
    before = pd.read_csv(clone.folder / "metrics/classes/digits-0.csv")
    ran = clone.stages_run("dvc", "exp", "run", "-S", "heads.eos.k_neighbors=100")
    assert sorted(ran) == sorted(
        [
            "check",
            "heads",
            "oversample@digits-0-ce",
            "retrain@digits-0-ce",
            "score@digits-0",
            "tables",
            "methods",
            "figures@digits",
            "figure6@digits",
        ]
    )
    after = pd.read_csv(clone.folder / "metrics/classes/digits-0.csv")
    same = before["head"] != "eos"
    pd.testing.assert_frame_equal(before[same], after[same])
    assert not before[~same].equals(after[~same])
    assert "heads.eos.k_neighbors" in clone.succeed("dvc", "params", "diff")
    assert "digits.eos" in clone.succeed("dvc", "exp", "diff")
    assert "digits.eos" in clone.succeed("dvc", "metrics", "diff")
    assert "digits.eos" in clone.succeed("dvc", "exp", "show", "--csv")
    assert "figure3.svg" in clone.succeed("dvc", "plots", "show", "--json")


def test_what_was_run_before_comes_back_from_the_run_cache(clone: Clone) -> None:
    """Going back to the first parameters runs no sampler and no head again, and gives the same bytes."""
    clone.succeed("git", "checkout", "--quiet", "params.yaml")
    output = clone.succeed("dvc", "repro")
    for stage in ("oversample", "retrain"):
        assert f"Stage '{stage}@digits-0-ce' is cached" in output
    assert clone.succeed("git", "status", "--porcelain") == ""


def test_run_times_are_told_of_what_ran_here(clone: Clone) -> None:
    page = clone.succeed("python", "tools/runtime.py")
    for way in ("pixel SMOTE + training", "GAMO + training", "training + EOS + head"):
        assert way in page
    assert page == (clone.folder / "data/seconds/runtime.md").read_text()
    assert clone.succeed("git", "status", "--porcelain") == ""
    shutil.move(clone.folder / "data/seconds/augment", clone.folder / "data/seconds/elsewhere")
    assert "not measured" in clone.succeed("python", "tools/runtime.py")
    shutil.move(clone.folder / "data/seconds/elsewhere", clone.folder / "data/seconds/augment")


def test_without_balanced_images_and_without_the_figures_network(clone: Clone) -> None:
    """Cells that were not run are left out of tables and figures."""
    overrides = [f"axes.{axis}=[]" for axis in ("pixel_samplers", "generators")]
    overrides.append("figures.figure6.network=asl")
    arguments = [argument for override in overrides for argument in ("-S", override)]
    ran = clone.stages_run("dvc", "exp", "run", *arguments)
    assert sorted(ran) == ["check", "figure6@digits", "methods", "tables"]
    three = pd.read_csv(clone.folder / "metrics/tables/table3.csv", keep_default_na=False)
    assert len(three) == 0
    assert (
        "Nothing that this table compares was run." in (clone.folder / "metrics/tables/table3.md").read_text()
    )
    assert len(pd.read_csv(clone.folder / "metrics/figures/digits/figure6.csv")) == 0
    clone.succeed("bash", "-c", WAY_BACK)
    assert clone.stages_run("dvc", "repro") == []


def test_the_way_back_that_the_pages_tell(clone: Clone) -> None:
    clone.succeed("dvc", "exp", "run", "-S", "heads.eos.step_size=0.5")
    assert clone.succeed("git", "status", "--porcelain") != ""
    assert WAY_BACK in (ROOT / "docs/experiments.md").read_text()
    clone.succeed("bash", "-c", WAY_BACK)
    assert clone.succeed("git", "status", "--porcelain") == ""
    assert clone.stages_run("dvc", "repro") == []


@pytest.mark.skipif(why_not_portable() is not None, reason=str(why_not_portable()))
def test_another_environment_makes_the_same_bytes(clone: Clone) -> None:
    """Stages run again, under what they would not choose: all that git and dvc.lock know stays the same."""
    cells = [*TRAININGS, *(f"{stage}@digits-0-ce" for stage in ("extract", "oversample", "retrain"))]
    ran = clone.stages_run("dvc", "repro", "--force", **NEWER_CODE)
    assert set(cells) < set(ran)
    assert clone.succeed("git", "status", "--porcelain") == ""
    ran = clone.stages_run("dvc", "repro", "--force", "--single-item", *cells, **OLDER_CODE)
    assert set(cells) == set(ran)
    assert clone.succeed("git", "status", "--porcelain") == ""


def edited(path: Path, line: str) -> str:
    """Add a line to a file, and return the text before."""
    whole = path.read_text()
    path.write_text(whole + line)
    return whole


def test_a_line_in_the_registry_trains_nothing_again(clone: Clone) -> None:
    path = clone.folder / "src/eos/registry.py"
    line = 'SAMPLERS = {**SAMPLERS, "more": Entry("eos.samplers.oversampling:random", "More")}\n'
    whole = edited(path, line)
    assert clone.changed_stages() == {"check"}
    assert clone.stages_run("dvc", "repro") == ["check"]
    path.write_text(whole)
    assert clone.stages_run("dvc", "repro") == []  # from the run cache
    assert clone.succeed("git", "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("losses/cross_entropy.py", set(TRAININGS)),
        ("models/densenet.py", {*TRAININGS, "extract@digits-0-ce"}),
        ("samplers/eos.py", {"oversample@digits-0-ce", "retrain@digits-0-ce", "augment@digits-0-smote"}),
        ("heads/softmax.py", {"retrain@digits-0-ce"}),
        ("generators/cgan.py", {"generate@digits-0-gamo"}),
        ("report/claims.py", {"methods", "tables"}),
    ],
)
def test_an_edit_marks_the_stages_that_run_the_code(clone: Clone, place: str, expected: set[str]) -> None:
    path = clone.folder / "src/eos" / place
    whole = edited(path, "# Another line.\n")
    changed = clone.changed_stages()
    one = min(expected)
    ran = clone.stages_run("dvc", "repro", "--dry", "--single-item", one)
    path.write_text(whole)
    assert changed == expected
    assert ran == [one]


def test_what_people_read_of_the_pipeline(clone: Clone) -> None:
    drawn = clone.succeed("dvc", "dag")
    for stage in ("check", "prepare@digits", "train@digits-0-ce", "figure6@digits", "tables"):
        assert f"| {stage} |" in drawn


@pytest.mark.parametrize("kept", [None, 0.0, 0.2, 0.7, 0.99])
def test_a_lock_file_that_was_cut_off_costs_no_training(clone: Clone, kept: float | None) -> None:
    path = clone.folder / "dvc.lock"
    whole = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(whole[: int(kept * len(whole))])
    told = clone.succeed("python", "tools/mend_lock.py")
    assert len(told.splitlines()) == 1
    assert clone.stages_run("dvc", "repro") == []
    assert clone.succeed("git", "status", "--porcelain") == ""


def test_what_the_committed_lock_file_does_not_know_comes_back_from_the_run_cache(clone: Clone) -> None:
    """The lock file of the first commit is that of the repository: it knows none of these small results."""
    path = clone.folder / "dvc.lock"
    path.write_text(clone.succeed("git", "show", "HEAD~1:dvc.lock"))
    ran = clone.stages_run("dvc", "repro")
    assert {name.partition("@")[0] for name in ran} <= {
        *("score", "score_augmented", "score_generated"),
        *("sheet", "tables", "methods", "figures", "figure4", "figure6"),
    }
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


def test_a_network_whose_description_was_changed_is_named(clone: Clone) -> None:
    path = clone.folder / "models/networks/digits-0/ce/network.json"
    whole = path.read_bytes()
    path.unlink()  # it may be a link into the cache
    path.write_text(json.dumps(json.loads(whole) | {"epochs": {}}))
    done = clone.run("python", "stages/extract.py", "digits", "0", "ce")
    path.write_bytes(whole)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: models/networks/digits-0/ce/network.json: damaged or changed: its content is not what its "
    )


def test_too_little_memory_is_told(clone: Clone) -> None:
    path = clone.folder / "params.yaml"
    whole = path.read_text()
    registry = clone.folder / "src/eos/registry.py"
    bounds = registry.read_text()
    # No value that is allowed lacks memory on every machine: here one is let in that does.
    registry.write_text(bounds.replace("Interval(ge=0, le=256)", "Interval(ge=0)"))
    path.write_text(whole.replace("crop_padding: 1\n", "crop_padding: 1000000\n"))
    done = clone.run("python", "stages/train.py", "digits", "0", "ce", PYTHONPATH="src")
    path.write_text(whole)
    registry.write_text(bounds)
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
            ["train.py", "digits", "0", "cee"],
            "error: params.yaml: networks: unknown network 'cee'; did you",
        ),
        (
            ["train_balanced.py", "augmented", "digits", "0", "smot", "ce"],
            "error: params.yaml: pixel_samplers or generators: unknown sampler 'smot'; did you mean 'smote'",
        ),
        (
            ["train_balanced.py", "generate", "digits", "0", "gamo", "ce"],
            "error: command line: unknown kind 'generate'; did you mean 'generated'",
        ),
        (["gap.py", "digits"], "usage: python stages/gap.py DATASET CUT\n"),
        (["check.py", "digits"], "usage: python stages/check.py\n"),
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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository with the real params.yaml and a stage that does next to nothing."""
    folder = tmp_path_factory.mktemp("tiny")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(
        "stages:\n  one:\n    cmd: touch out\n    params: [heads]\n    outs: [out]\n"
    )
    clone = Clone(folder)
    clone.succeed("git", "init", "--quiet")
    clone.succeed("dvc", "init", "--quiet")
    clone.commit()
    return clone


@pytest.mark.parametrize(
    ("override", "added", "removed"),
    [
        ("heads.eos.k_neighbors=100", 1, 1),
        ("heads.eos.variant=released", 1, 1),
        ("selection=test", 1, 1),
        ("split.validation_fraction=0.1", 1, 1),
        ("training.learning_rate=0.05", 1, 1),
        ("networks.ce.architecture=resnet20", 1, 1),
        ("axes.cuts=[0,10,100]", 2, 0),
    ],
)
def test_an_override_changes_its_lines_of_the_parameters_and_no_other(
    tiny: Clone, override: str, added: int, removed: int
) -> None:
    """The file is laid out as DVC writes it."""
    tiny.succeed("dvc", "exp", "run", "-S", override)
    changed = tiny.succeed("git", "diff", "--numstat", "--", "params.yaml")
    tiny.succeed("git", "checkout", "--quiet", "--", ".")
    assert changed == f"{added}\t{removed}\tparams.yaml\n"
