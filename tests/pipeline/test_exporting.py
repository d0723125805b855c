"""The classifier of a cell is the pipeline's: the same logits, on a CPU bit for bit."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eos
from eos.config.cells import Cell, find_cell
from eos.config.schema import EmbeddingSet, Parameters
from eos.errors import InputError
from eos.metrics.scores import score
from eos.pipeline import command, exporting, fitting, paths
from eos.pipeline.exporting import export_cell
from eos.storage.files import read_arrays, write_arrays
from tests import helpers
from tests.helpers import DEVICE, ROOT, same

HEADS = ("own", "none", "eos", "ncm", "post_hoc", "logit_adjusted_head")
NETWORKS = ("ce", "ldam", "bbn")
CELLS = [(network, head) for network in NETWORKS for head in HEADS]


def small() -> Parameters:
    """Return those of params.yaml with short trainings; digits is not portable here, as NumPy is loaded."""
    known = helpers.parameters()
    digits = known.datasets["digits"]
    training = digits.training.model_copy(update={"epochs": 2, "precision": "fp32", "batch_size": 20})
    return known.model_copy(
        update={
            "training": known.training.model_copy(update={"device": DEVICE, "cpu_threads": 1}),
            "datasets": known.datasets
            | {"digits": digits.model_copy(update={"portable": False, "training": training})},
            "networks": {name: known.networks[name].model_copy(update={"heads": HEADS}) for name in NETWORKS},
            "head_training": known.head_training.model_copy(
                update={"epochs": 2, "curve_epochs": 2, "seeds": (3, 1)}
            ),
            "axes": known.axes.model_copy(update={"networks": NETWORKS, "embeddings": ("given",)}),
            "embeddings": {
                "given": EmbeddingSet(
                    networks={"vit": "vit.npz"},
                    heads=HEADS,
                    test_share=None,
                    seed=0,
                    standardize=True,
                    portable=False,
                )
            },
        }
    )


def stage(name: str) -> Any:
    spec = spec_from_file_location(name, ROOT / "stages" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in which the pipeline has run from images to heads, for three networks."""
    folder = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (40, 30, 30))
    images = random.integers(0, 100, (100, 8, 8, 1))
    images[np.arange(100), 2 * labels + 1] += 100
    rows = random.permutation(100)
    images, labels = images[rows].astype(np.uint8), labels[rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(command, "parameters", small)
        write_arrays(
            paths.images_file("digits"),
            {
                "train_images": images[:60],
                "train_labels": labels[:60],
                "test_images": images[60:],
                "test_labels": labels[60:],
                "class_names": np.array(["cat", "dog", "eel"]),
            },
        )
        counts = np.bincount(labels[:60])
        split = {"train": np.arange(60), "validation": np.arange(0), "class_counts": counts}
        write_arrays(paths.split_file("digits", 0), split)
        for network in NETWORKS:
            place = paths.network_folder("digits", 0, network)
            fitting.fit_network(small(), fitting.Job("digits", 0, network, place))
            for name in ("extract", "oversample", "retrain"):
                stage(name)("digits", 0, network)
        paths.given_file("given", "").mkdir(parents=True)
        features = (labels[:, None] + random.normal(size=(100, 5))).astype(np.float16) * [1, 10, 100, 1, 1]
        given: dict[str, Any] = {}
        for part, where in (("train", slice(60)), ("test", slice(60, None))):
            given |= {f"{part}_features": features[where], f"{part}_labels": labels[where]}
        np.savez(paths.given_file("given", "vit.npz"), **given)
        stage("prepare_embeddings")("given")
        for name in ("oversample", "retrain"):
            stage(name)("given", 0)
    return folder


@pytest.fixture(autouse=True)
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setattr(exporting, "changed_code", lambda cell: None)  # DVC did not make this


def exported(network: str, head: str, folder: Path, **options: Any) -> dict[str, Any]:
    *_, told = export_cell(small(), Cell("digits", 0, network, head), folder, **options)
    assert f"digits-0-{network}-{head}" in told
    content: dict[str, Any] = json.loads((folder / "classifier.json").read_text())
    return content


@pytest.mark.parametrize(("network", "head"), CELLS)
def test_the_logits_are_those_that_the_pipeline_stored(network: str, head: str, tmp_path: Path) -> None:
    content = exported(network, head, tmp_path / "model")
    images = read_arrays(paths.images_file("digits"))["test_images"]
    stored = read_arrays(paths.embeddings_file("digits", 0, network))
    expected = stored["test_logits"]
    if head != "own":
        fitted = read_arrays(paths.heads_folder("digits", 0, network) / f"{head}.npz")
        expected = fitted["test_logits"][0]
        if len(fitted["seeds"]) > 1:
            assert not np.array_equal(expected, fitted["test_logits"][1])
    classifier = eos.load(tmp_path / "model")
    same(classifier.embed(images), stored["test_features"])
    if head == "post_hoc":  # a bias there, added to finished logits here
        same(classifier.logits(images), expected, rtol=1e-4, atol=1e-5)
    else:
        same(classifier.logits(images), expected)
    scores = score(stored["test_labels"], expected.argmax(axis=1), 3)
    assert {name: content["scores"][name] for name in scores} == scores
    exact = DEVICE == "cpu" and head != "post_hoc"
    assert content["scores"]["logits_apart_from_the_pipeline"] <= (0 if exact else 1e-4)
    assert content["head"]["scale"] == (30.0 if (network, head) == ("ldam", "own") else 1.0)


def test_the_folder_says_what_it_was_trained_on(tmp_path: Path) -> None:
    content = exported("ldam", "eos", tmp_path / "model")
    told = content["trained_on"]
    names = ("dataset", "cut", "network", "head", "seed", "selection", "network_epoch", "head_epoch")
    assert [told[name] for name in names] == ["digits", 0, "ldam", "eos", 3, "last", 2, 2]
    labels = read_arrays(paths.embeddings_file("digits", 0, "ldam"))["train_labels"]
    assert told["class_counts"] == np.bincount(labels).tolist()
    known = told["parameters"]
    assert known["networks"]["ldam"]["loss"]["scale"] == 30
    assert known["heads"]["eos"]["k_neighbors"] == 10
    assert known["datasets"]["digits"]["training"]["epochs"] == 2
    assert (known["networks"].keys(), known["heads"].keys()) == ({"ldam"}, {"eos"})
    assert content["class_names"] == ["cat", "dog", "eel"]


def test_a_head_on_given_embeddings_has_no_backbone(tmp_path: Path) -> None:
    *_, told = export_cell(small(), Cell("given", 0, "vit", "eos"), tmp_path / "model")
    assert "given-0-vit-eos, head seed 3, balanced accuracy" in told
    features = read_arrays(paths.given_file("given", "vit.npz"))["test_features"]
    standardized = read_arrays(paths.embeddings_file("given", 0, "vit"))["test_features"]
    assert not np.allclose(features, standardized)
    stored = read_arrays(paths.heads_folder("given", 0, "vit") / "eos.npz")["test_logits"]
    classifier = eos.load(tmp_path / "model")
    np.testing.assert_array_equal(classifier.embed(features), standardized)
    np.testing.assert_array_equal(classifier.logits(features), stored[0])
    assert classifier.class_names == ["0", "1", "2"]
    known = classifier.description["trained_on"]["parameters"]
    assert known["embeddings"]["given"]["networks"] == {"vit": "vit.npz"}
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "classifier.json",
        "head.safetensors",
    ]
    with pytest.raises(InputError, match="given-0-vit-own: the classifier that came with the embeddings"):
        next(export_cell(small(), Cell("given", 0, "vit", "own"), tmp_path / "own"))


def test_another_seed(tmp_path: Path) -> None:
    assert exported("ce", "eos", tmp_path / "model", seed=1)["trained_on"]["seed"] == 1
    stored = read_arrays(paths.heads_folder("digits", 0, "ce") / "eos.npz")["test_logits"]
    images = read_arrays(paths.images_file("digits"))["test_images"]
    same(eos.load(tmp_path / "model").logits(images), stored[1])


@pytest.mark.parametrize(
    ("head", "seed", "message"),
    [
        ("eos", 0, "seed 0: none of the head's, 3, 1"),
        ("own", 3, "seed 3: the own classifier has none"),
    ],
)
def test_a_seed_that_is_not_there(head: str, seed: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        exported("ce", head, tmp_path / "model", seed=seed)
    assert list(tmp_path.iterdir()) == []


def test_files_of_different_runs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "network_folder", lambda *_: Path("models/networks/digits-0/ldam"))
    with pytest.raises(
        InputError, match=r"digits-0-ce-none: its logits differ .* different runs; run `dvc repro`"
    ):
        exported("ce", "none", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        next(export_cell(small(), Cell("digits", 0, "never", "run"), tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digits", r"cell 'digits': must be DATASET-CUT-NETWORK-HEAD"),
        ("digits-0", r"cell 'digits-0': the recommended network 'la_mixup' was not run there; .* ce, ldam"),
        ("digits-0-ce", r"cell 'digits-0-ce': the recommended head 'eos_cv' was not run there"),
        ("digits-x-ce-eos", r"must be DATASET-CUT-NETWORK-HEAD"),
        ("digits-" + "9" * 5000, r"cell .digits-9{193}.: must be DATASET-CUT-NETWORK-HEAD"),
        ("digit-0-ce-eos", r"cell 'digit-0-ce-eos': unknown dataset 'digit'; did you mean 'digits'\?"),
        ("digits-7-ce-eos", r"unknown cut 7; known: 0"),
        ("digits-0-asl-eos", r"unknown network 'asl'"),
        ("given-1-vit-eos", r"unknown cut 1; known: 0"),
        ("given-0-ce-eos", r"unknown network 'ce'; known: vit"),
        ("digits-0-ce-smote", r"unknown head 'smote'"),
    ],
)
def test_a_cell_that_there_is_not(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_cell(small(), text)


STATUS = {
    "check": [{"changed deps": {"params.yaml": "modified"}}],
    "train@digits-0-asl": [{"changed deps": {"params.yaml": {"training": "modified"}}}],
    "train@digits-0-ce": [
        {"changed deps": {"src/eos/models": "modified"}},
        {"changed outs": {"x": "deleted"}},
    ],
}


def test_what_is_not_named_is_recommended() -> None:
    recommended = small().recommended.model_copy(update={"network": "ldam", "head": "eos"})
    known = small().model_copy(update={"recommended": recommended})
    assert find_cell(known, "digits-0") == Cell("digits", 0, "ldam", "eos")
    assert find_cell(known, "digits-0-ce") == Cell("digits", 0, "ce", "eos")
    assert find_cell(known, "given-0") == Cell("given", 0, "vit", "eos")


def test_changes_since_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    status = dict(STATUS)

    def run(*_: Any, **__: Any) -> Any:
        return type("Done", (), {"returncode": 0, "stdout": json.dumps(status)})

    monkeypatch.setattr("subprocess.run", run)
    cell = Cell("digits", 0, "ce", "eos")
    assert exporting.changed_code(cell) == ["src/eos/models"]
    status["retrain@digits-0-ce"] = [{"changed deps": {"params.yaml": {"head_training": "modified"}}}]
    status["split@digits-0"] = ["changed command"]
    message = (
        r"digits-0-ce-eos: changed since the last run: retrain: head_training, split: changed command; run"
    )
    with pytest.raises(InputError, match=message):
        exporting.changed_code(cell)
