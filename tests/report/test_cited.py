"""The table of what the paper cites: rows, distances, published values, and what is said of them."""

import pandas as pd
import pytest

from eos.registry import CLASSIFIERS, GENERATORS, HEADS
from eos.report.cited import cited, markdown_cited, published_elsewhere
from eos.report.wording import PIXEL, space_of
from tests.report.table_frames import balanced_frame, score_frame

CELLS = {
    "network": "ce",
    "heads": ["own", "smote", "eos"],
    "networks": ["ldam"],
    "network_heads": ["own", "eos"],
    "generators": ["gamo"],
    "published_as": {"cifar10": "cifar10_100"},
}


def frame(dataset: str) -> pd.DataFrame:
    """Return scores of two networks, of which each head is a point better than the one before."""
    rows = []
    for network, base in (("ce", 0.60), ("ldam", 0.70)):
        for step, head in enumerate(("own", "smote", "eos")):
            for seed in range(1 if head == "own" else 2):
                rows.append((0, network, head, seed, base + step / 100 + seed / 1000))
    return score_frame(rows, dataset=dataset)


def table() -> pd.DataFrame:
    balanced = balanced_frame([(0, "gamo", "ce", 0.55)], dataset="cifar10")
    scores = pd.concat([frame("cifar10"), frame("digits")], ignore_index=True)
    return cited(scores, balanced, **CELLS)  # type: ignore[arg-type]


def test_rows_are_networks_then_images_then_heads_of_each_dataset() -> None:
    found = table()
    expected = [
        ("networks", "ldam", "own"),
        ("networks", "ldam", "eos"),
        ("images", "ce", "gamo"),
        ("embeddings", "ce", "own"),
        ("embeddings", "ce", "smote"),
        ("embeddings", "ce", "eos"),
    ]
    for _, block in found.groupby("dataset"):
        assert list(block[["group", "network", "method"]].itertuples(index=False, name=None)) == expected
    assert found.loc[found["method"] == "gamo", "status"].tolist() == ["run", "not run"]


def test_distances_are_to_the_own_classifier_of_the_network() -> None:
    found = table()
    distances = found[found["dataset"] == "cifar10"]["to_reference"].tolist()
    assert distances == pytest.approx([0.10, 0.1205, -0.05, 0.0, 0.0105, 0.0205])


def test_published_values_are_those_of_the_set_that_a_dataset_is_compared_with() -> None:
    found = table()
    known = found[found["published_BAC"].notna()]
    assert known[["dataset", "network", "method", "source"]].to_numpy().tolist() == [
        ["cifar10", "ldam", "own", "BBN"]
    ]
    assert known["published_BAC"].tolist() == [0.7703]
    assert known["published_to_reference"].tolist() == pytest.approx([0.0667])


def test_the_page_has_a_block_per_dataset_with_what_is_higher() -> None:
    page = markdown_cited(table(), {"eos": "EOS (K = 10)"})
    first, second = page.split("## ")[1:]
    assert "| Networks    | LDAM                |   .7000" in first
    assert "LDAM + EOS (K = 10) | **.7205** ± .0007 | +.1205 |           |" in first
    assert "+.0667" in first
    assert "Published" not in second
    assert "Higher than SMOTE (.6105): 3 of 5: LDAM; LDAM + EOS (K = 10); EOS (K = 10)." in " ".join(
        first.split()
    )
    assert "Higher than EOS (K = 10) (.6205): 2 of 5: LDAM; LDAM + EOS (K = 10)." in " ".join(first.split())
    assert "Published: on CIFAR-10 at 100:1." in " ".join(first.split())
    assert "Not run: GAMO (CE)." in second
    assert max(map(len, page.splitlines())) <= 100


def test_a_page_of_nothing() -> None:
    nothing = cited(score_frame([]), balanced_frame([]), **CELLS)  # type: ignore[arg-type]
    assert "Nothing that this table compares was run." in markdown_cited(nothing, {})


def test_what_was_published_elsewhere_is_consistent() -> None:
    rows = published_elsewhere()
    assert not rows.duplicated(["as", "network", "space", "method"]).any()
    assert rows[["BAC", "reference"]].gt(0.3).all(axis=None)
    assert rows[["BAC", "reference"]].lt(1).all(axis=None)
    assert (rows["BAC"] > rows["reference"]).all()
    # As a digest: a slip in one digit changes it.
    assert (round(rows["BAC"].sum(), 4), round(rows["reference"].sum(), 4)) == (21.4752, 20.2455)
    spaces = [PIXEL if name == "deepsmote" else space_of(name) for name in rows["method"]]
    assert rows["space"].tolist() == spaces
    assert set(rows.loc[rows["space"] != "none", "network"]) == {"ce"}
    assert (rows.groupby(["as", "source"])["reference"].nunique() == 1).all()
    assert set(rows["method"]) <= {*HEADS, *CLASSIFIERS, *GENERATORS, "deepsmote"}
    # The larger the imbalance, the lower each method on the same images.
    rows = rows.assign(
        images=rows["as"].str.partition("_")[0], ratio=rows["as"].str.partition("_")[2].astype(int)
    )
    for _, group in rows.groupby(["images", "network", "method"]):
        assert group.sort_values("ratio")["BAC"].is_monotonic_decreasing
