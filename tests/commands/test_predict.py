"""`python -m eos predict`: pictures in, lines or a table out, and what is wrong told at the end."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eos
from eos.__main__ import main
from eos.classifier.folder import BACKBONE, HEAD, write_folder
from eos.models.network import build_network
from tests.classifier.test_classifier import BIAS, IMAGES, NAMES, WEIGHT, description, parts


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder that holds a classifier and a tree of pictures, one of which is none."""
    monkeypatch.chdir(tmp_path)
    network = build_network("resnet8", channels=3, n_classes=3)
    arrays = {BACKBONE: parts(network)[0], HEAD: {"weight": WEIGHT, "bias": BIAS}}
    write_folder(Path("model"), description(), arrays)
    write_folder(Path("head"), description(backbone=None), {HEAD: arrays[HEAD]})
    Path("tree/b").mkdir(parents=True)
    Path("tree/.hidden").mkdir()
    for name, image in zip(("b/2.png", "1.PNG", ".hidden/3.png"), IMAGES, strict=False):
        Image.fromarray(image).save(Path("tree") / name)
    Path("tree/notes.txt").write_text("not a picture")
    return tmp_path


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return str(caught.value.code)


def test_lines(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", "model", "tree", "tree/b/2.png"])
    out, err = capsys.readouterr()
    known = eos.load("model").predict_proba(["tree/1.PNG", "tree/b/2.png"])
    lines = [
        f"{name}\t{NAMES[row.argmax()]}\t{row.max():.3f}"
        for name, row in zip(("tree/1.PNG", "tree/b/2.png"), known, strict=True)
    ]
    assert out.splitlines() == [*lines, lines[1]]
    assert "which are no pictures: 1\n" in err
    assert "3 classified; probabilities are softmax values and not calibrated" in err


def test_a_table(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", "model", "tree", "--csv", "new/out.csv"])
    assert capsys.readouterr().out == ""
    with Path("new/out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["tree/1.PNG", "tree/b/2.png"]
    known = eos.load("model").predict_proba([row["file"] for row in rows])
    told = np.array([[float(row[f"probability_{name}"]) for name in NAMES] for row in rows])
    np.testing.assert_allclose(told, known, rtol=1e-5)
    assert [float(row["probability"]) for row in rows] == told.max(axis=1).tolist()
    assert [row["class"] for row in rows] == [NAMES[best] for best in told.argmax(axis=1)]


def test_bad_pictures_are_told_of_together_and_the_rest_is_classified(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tree/a.png").write_text("broken")
    Path("tree/c.jpg").write_bytes(b"")
    told = refused("predict", "model", "tree", "tree/notes.txt", "--csv", "out.csv").splitlines()
    assert told[0] == "error: 3 of 5 pictures could not be read:"
    assert [line.strip().split(":")[0] for line in told[1:]] == ["tree/a.png", "tree/c.jpg", "tree/notes.txt"]
    assert len(Path("out.csv").read_text().splitlines()) == 1 + 2


def test_a_name_that_is_no_text_is_shown_escaped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "tree/\udcff\n.png"
    Path("tree/1.PNG").rename(odd)
    main(["predict", "model", odd])
    assert capsys.readouterr().out.startswith(ascii(odd) + "\t")
    main(["predict", "model", odd, "--csv", "out.csv"])
    with Path("out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][0] == "tree/\\udcff\n.png"


def test_blocks_of_pictures_give_what_all_at_once_do(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "model", "tree"])
    whole = capsys.readouterr().out
    monkeypatch.setattr("eos.commands.predict._BYTES", 1)
    monkeypatch.setattr("eos.commands.predict._SECONDS_BETWEEN_LINES", 0)
    main(["predict", "model", "tree"])
    out, err = capsys.readouterr()
    assert out == whole
    assert err.splitlines()[1] == "1 classified"


def test_features(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = np.random.default_rng(0).normal(size=(2, 64))
    np.save("x.npy", features)
    np.save("narrow.npy", features[:, :63])
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.savez("other.npz", train_features=features)
    np.savez("short.npz", features=features, files=np.array(["a"]))
    bad = ["narrow.npy", "objects.npy", "none.npy", "other.npz", "short.npz"]
    told = refused("predict", "head", "x.npy", *bad).splitlines()
    assert told[0] == "error: 5 of 6 files could not be read:"
    for name, line in zip(bad, told[1:], strict=True):
        assert f"{name}: no file of features that can be used" in line
    assert "it holds no array 'features" in told[4]
    rows = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    names = eos.load("head").predict(features)
    assert rows == [["x.npy[0]", names[0]], ["x.npy[1]", names[1]]]


def test_features_are_standardized_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    mean, deviation = random.normal(3, 1, 64).astype(np.float32), np.full(64, 10, np.float32)
    head = {"weight": WEIGHT, "bias": BIAS, "mean": mean, "deviation": deviation}
    write_folder(Path("scaled"), description(backbone=None), {HEAD: head})
    features = random.normal(mean, deviation, (20, 64))
    np.save("x.npy", features)
    main(["predict", "scaled", "x.npy"])
    known = eos.load("scaled").predict_proba(features)
    assert capsys.readouterr().out.splitlines() == [
        f"x.npy[{number}]\t{NAMES[row.argmax()]}\t{row.max():.3f}" for number, row in enumerate(known)
    ]


@pytest.mark.parametrize("files", [np.array("a"), np.array([["a"], ["b"]])])
def test_names_of_features_of_another_shape(place: Path, files: np.ndarray) -> None:
    np.savez("odd.npz", features=np.zeros((2, 64)), files=files)
    assert "(files of shape " in refused("predict", "head", "odd.npz")


@pytest.mark.parametrize("table", ["", "tree"])
def test_a_table_that_would_be_a_folder(place: Path, table: str) -> None:
    assert refused("predict", "model", "tree", "--csv", table).endswith(
        "is a folder; name a file for the table"
    )


def test_features_with_the_names_of_their_pictures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = np.random.default_rng(0).normal(size=(2, 64))
    np.savez("new.npz", features=features, files=np.array(["new/a.png", "new/b.png"]))
    main(["predict", "head", "new.npz"])
    rows = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    one, other = eos.load("head").predict(features)
    assert rows == [["new/a.png", one], ["new/b.png", other]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model", "none.png"), "error: none.png: no such picture or folder; a relative path starts at /"),
        (("model", "tree/.hidden/empty"), "error: tree/.hidden/empty: holds no picture; known formats: AVIF"),
        (("tree", "tree"), "error: tree: holds no classifier: "),
        (
            ("model",),
            "error: the following arguments are required: PICTURES; see python -m eos predict --help",
        ),
    ],
)
def test_what_cannot_be_used(place: Path, arguments: tuple[str, ...], message: str) -> None:
    Path("tree/.hidden/empty").mkdir()
    assert refused("predict", *arguments).startswith(message)


def test_a_portable_classifier_is_run_under_the_switches(place: Path) -> None:
    computing = description()["computing"] | {"portable": True, "cpu_threads": 1}
    write_folder(
        Path("portable"),
        description(backbone=None, computing=computing),
        {HEAD: {"weight": WEIGHT, "bias": BIAS}},
    )
    np.save("x.npy", np.zeros((1, 64)))
    code = "import os, sys; from eos.__main__ import main; main(sys.argv[1:]); print(os.environ['MKL_CBWR'])"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "portable", "x.npy"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "COMPATIBLE"


def test_who_reads_the_lines_may_stop(place: Path) -> None:
    np.save("x.npy", np.zeros((50_000, 64)))
    command = f"{sys.executable} -m eos predict head x.npy | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("x.npy[0]\t")
    assert "Broken pipe" not in done.stderr


@pytest.mark.parametrize("name", ["pipe.npy", "pipe.npz"])
def test_a_pipe_is_not_waited_for(place: Path, name: str) -> None:
    os.mkfifo(name)
    assert f"{name}: no file of features that can be used (neither a file nor" in refused(
        "predict", "head", name
    )


def test_a_name_that_is_too_long(place: Path) -> None:
    assert "no such picture or folder" in refused("predict", "model", "n" * 5000)
    assert "folder: File name too long: nnn" in refused("predict", "n" * 5000, "tree")
