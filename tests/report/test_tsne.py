"""The plane that t-SNE makes of two classes: which rows it holds, that it repeats, what it refuses."""

import numpy as np
import pytest
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_info, threadpool_limits

from eos.errors import InputError
from eos.report.tsne import Rows, project_classes, tsne

NAMES = ("zero", "one")


def rows(real: tuple[int, int] = (30, 4), synthetic: tuple[int, int] = (0, 26), seed: int = 0) -> Rows:
    """Two classes far apart, real rows first; the synthetic ones of a class lie around its mean."""
    labels = np.repeat([0, 1, 0, 1], [*real, *synthetic])
    noise = np.random.default_rng(seed).normal(size=(len(labels), 5))
    return Rows(noise + 20 * labels[:, None], labels, np.arange(len(labels)) >= sum(real))


def test_classes_that_lie_apart_lie_apart_in_the_plane() -> None:
    made = rows()
    plane = tsne(made.features, 0)
    assert plane.shape == (60, 2)
    centres = [plane[made.labels == number].mean(axis=0) for number in (0, 1)]
    nearer = [((plane - centre) ** 2).sum(axis=1) for centre in centres]
    np.testing.assert_array_equal(nearer[0] > nearer[1], made.labels == 1)


def test_the_bytes_repeat() -> None:
    assert tsne(rows().features, 3).tobytes() == tsne(rows().features, 3).tobytes()


def test_it_runs_on_one_thread_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads would add up in another order: other last digits, and so another picture."""
    threads: set[int] = set()

    def watched(self: TSNE, features: np.ndarray) -> np.ndarray:
        threads.update(pool["num_threads"] for pool in threadpool_info())
        return features[:, :2]

    monkeypatch.setattr(TSNE, "fit_transform", watched)
    with threadpool_limits(limits=2):
        tsne(rows().features, 0)
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}
    assert threads == {1}


@pytest.mark.parametrize("count", [4, 6])
def test_few_rows_are_enough(count: int) -> None:
    features = np.random.default_rng(0).normal(size=(count, 3))
    assert np.isfinite(tsne(features, 0)).all()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.eye(3), r"shape \(3, 3\); t-SNE needs at least 4 rows of at least 2 features"),
        (np.arange(9.0)[:, None], r"shape \(9, 1\); t-SNE needs"),
        (np.ones((9, 3)), "all 9 rows are the same"),
        (np.full((9, 3), np.nan), "9 of 9 rows hold NaN"),
    ],
)
def test_rows_that_cannot_be_projected(features: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tsne(features, 0)


def test_every_head_has_its_own_points_in_order() -> None:
    heads = {"none": rows(synthetic=(0, 0)), "eos": rows()}
    data = project_classes(heads, (0, 1), NAMES, points=100, seed=0)
    assert list(data.columns) == ["head", "class_name", "synthetic", "available", "x", "y"]
    counts = data.groupby(["head", "class_name", "synthetic"], sort=False).size()
    assert counts.to_dict() == {
        ("none", "zero", False): 30,
        ("none", "one", False): 4,
        ("eos", "zero", False): 30,
        ("eos", "one", False): 4,
        ("eos", "one", True): 26,
    }
    assert (
        data["available"] == data.groupby(["head", "class_name", "synthetic"])["x"].transform("size")
    ).all()
    eos = data.loc[data["head"] == "eos", ["x", "y"]].to_numpy()
    np.testing.assert_array_equal(eos, tsne(heads["eos"].features, 0).round(3))  # its rows are all there are
    none = data.loc[data["head"] == "none", ["x", "y"]].to_numpy()
    np.testing.assert_array_equal(none, eos[:34])  # the real rows stand in the same places


def test_one_plane_holds_the_rows_of_all_heads_each_once() -> None:
    first, second = rows(), rows()
    features = second.features + second.synthetic[:, None]
    moved = Rows(features, second.labels, second.synthetic)
    data = project_classes({"a": first, "b": moved, "c": first}, (0, 1), NAMES, points=100, seed=0)
    union = np.vstack([first.features, moved.features[34:]])
    places = {head: part[["x", "y"]].to_numpy() for head, part in data.groupby("head")}
    together = np.vstack([places["a"], places["b"][34:]])
    np.testing.assert_array_equal(together, tsne(union, 0).round(3))
    np.testing.assert_array_equal(places["b"][:34], places["a"][:34])
    np.testing.assert_array_equal(places["c"], places["a"])


def test_a_class_is_cut_to_its_real_rows_first() -> None:
    data = project_classes({"eos": rows()}, (0, 1), NAMES, points=10, seed=0)
    counts = data.groupby(["class_name", "synthetic"])["available"].agg(["size", "first"])
    assert counts.to_dict("index") == {
        ("zero", False): {"size": 10, "first": 30},
        ("one", False): {"size": 4, "first": 4},
        ("one", True): {"size": 6, "first": 26},
    }


def test_the_draw_is_seeded_and_the_same_real_rows_stand_in_every_panel() -> None:
    """Without synthetic rows left, two heads with the same real rows show the same picture."""
    heads = {"none": rows(real=(30, 20), synthetic=(0, 0)), "eos": rows(real=(30, 20), synthetic=(0, 0))}
    heads["eos"] = Rows(
        np.vstack([heads["none"].features, np.full((5, 5), 20.0)]),
        np.append(heads["none"].labels, [1] * 5),
        np.append(heads["none"].synthetic, [True] * 5),
    )
    data = project_classes(heads, (0, 1), NAMES, points=8, seed=1)
    none, eos = (data.loc[data["head"] == head, ["x", "y"]].to_numpy() for head in heads)
    np.testing.assert_array_equal(none, eos)
    other = project_classes(heads, (0, 1), NAMES, points=8, seed=2)
    assert not np.array_equal(other[["x", "y"]], data[["x", "y"]])


def test_rows_of_other_classes_change_nothing() -> None:
    made = rows()
    more = Rows(
        np.vstack([np.full((7, 5), 100.0), made.features]),
        np.append([2] * 7, made.labels),
        np.append([False] * 7, made.synthetic),
    )
    plain, crowded = (project_classes({"eos": r}, (0, 1), NAMES, points=50, seed=0) for r in (made, more))
    assert crowded.equals(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": (0, 7)}, r"head 'eos': class 7 \(one\) has no rows; there are rows of classes 0, 1"),
        ({"points": 0}, "points: 0; show at least 1"),
        ({"points": 1}, r"features: shape \(2, 5\); t-SNE needs at least 4 rows"),
        ({"class_names": ("zero",)}, "1 names for 2 classes"),
        (
            {"heads": {"eos": Rows(np.ones((3, 2)), np.ones(2), np.ones(3))}},
            r"head 'eos': labels: shape \(2,\)",
        ),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, object], message: str) -> None:
    arguments = {"heads": {"eos": rows()}, "classes": (0, 1), "class_names": NAMES, "points": 9, "seed": 0}
    with pytest.raises(InputError, match=message):
        project_classes(**(arguments | change))  # type: ignore[arg-type]
