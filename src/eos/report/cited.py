"""The systems that the paper cites, and rivals, beside EOS; what others have published of them.

`cited.csv` holds published balanced accuracies on CIFAR-10 and CIFAR-100 (`as`: the set and its ratio), under
the names of the parameters, with that of plain cross-entropy in the same source (`reference`): networks of
two sources differ by more than their methods, so what compares is the distance to cross-entropy. All are
called ResNet-32; 200 epochs but in AdjustBnd4Imbalance (180), and 30 more of the head for cRT and LWS; nearly
all of the best epoch on the test set. They are of the published forms: DeepSMOTE's images come from 80 % of
the epochs on, tau-normalization has tau 1 and keeps the bias. The depth of logit-adj-pytorch's network is in
doubt, and it chose tau on the test set. What we found no number of has no line: OLTR, SWIM, RBO, CCR and
manifold-based over-sampling on these sets, for instance.

References
----------
BBN: Zhou et al., "BBN: bilateral-branch network with cumulative learning for long-tailed visual recognition",
CVPR 2020, Table 1. BagofTricks: the tables of zhangyongshun/BagofTricks-LT (its own run of cross-entropy).
imbalanced-DL: the table of ntucllab/imbalanced-DL. logit-adj-pytorch: that of Chumsy0725/logit-adj-pytorch.
AdjustBnd4Imbalance: that of feidfoe/AdjustBnd4Imbalance.
"""

from collections.abc import Mapping, Sequence
from importlib import resources

import pandas as pd

from eos.registry import display_name
from eos.report.markdown import Frame, Notes, difference_points, page, points
from eos.report.tables import CELL, Cell, cell_table, observations
from eos.report.wording import PIXEL, space_of

_GROUPS = {"networks": "Networks", "images": "Images made", "embeddings": "Embeddings"}


def published_elsewhere() -> Frame:
    """Return what others published: columns as, network, space, method, BAC, reference, source."""
    with (resources.files("eos.report") / "cited.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False)


def cited(
    scores: Frame,
    balanced: Frame,
    *,
    network: str,
    heads: Sequence[str],
    networks: Sequence[str],
    network_heads: Sequence[str],
    generators: Sequence[str],
    published_as: Mapping[str, str],
) -> Frame:
    """Summarise what the paper cites beside EOS.

    Parameters
    ----------
    scores, balanced
        Observations; see `eos.report.tables`.
    network
        The network whose own classifier is the reference, and whose embeddings the heads get.
    heads
        Of it.
    networks, network_heads
        Other networks, and the heads that are shown of each.
    generators
        Of images that the network is trained on.
    published_as
        By dataset, the set of `published_elsewhere` that it compares with.

    Returns
    -------
    pandas.DataFrame
        As `eos.report.tables.table5`, with group ("networks", "images" or "embeddings"); to_reference, the
        BAC above that of the network's own classifier; and published_BAC, published_to_reference and source,
        empty where nothing was published; published_on, the set.
    """
    cells: list[tuple[str, Cell]] = [
        ("networks", (one, space_of(head), head)) for one in networks for head in network_heads
    ]
    cells += [("images", (network, PIXEL, generator)) for generator in generators]
    cells += [("embeddings", (network, space_of(head), head)) for head in heads]
    seen = observations(scores, balanced)
    table = cell_table(seen, [cell for _, cell in cells])
    groups = [group for group, _ in cells]
    table.insert(1, "group", groups * (len(table) // len(groups)))
    own = (seen["network"] == network) & (seen["method"] == "own")
    ours = seen[own].groupby("dataset")["BAC"].mean()
    table["to_reference"] = table["BAC"].astype(float) - table["dataset"].map(ours)
    known = published_elsewhere().rename(columns={"BAC": "published_BAC"})
    found = (
        table[["dataset", *CELL]]
        .assign(**{"as": table["dataset"].map(dict(published_as))})
        .merge(known, on=["as", *CELL], how="left")
        .set_index(table.index)
    )
    table["published_BAC"] = found["published_BAC"]
    table["published_to_reference"] = found["published_BAC"] - found["reference"]
    table["source"] = found["source"].fillna("")
    table["published_on"] = found["as"].where(found["source"].notna(), "")
    return table


def markdown_cited(
    table: Frame, titles: Mapping[str, str], notes: Notes = None, pixel_notes: Notes = None
) -> str:
    """Lay out `cited`: a group of rows for each place where a method works. `titles` are those of heads."""
    networks = table.loc[table["group"] == "embeddings", "network"]
    reference = display_name(networks.iloc[0]) if len(networks) else ""
    about = [
        f"To {reference}: BAC above that of the own classifier of {reference}. Published: the same in the "
        "source that the CSV file names; most sources took the best epoch on the TEST set. Networks of two "
        "sources differ by more than their methods, so compare the distances; and forms differ: DeepSMOTE's "
        "images come late there, tau-normalization keeps the bias. We found no number of OLTR, SWIM, RBO, "
        "CCR and manifold-based over-sampling on these sets: nothing anchors their rows."
    ]

    def lay_out(block: Frame, marks: Sequence[str]) -> Frame:
        return _lines(block, titles, marks, reference)

    def said(block: Frame) -> list[str]:
        return _said(block, titles)

    title = "of what the paper cites, and of rivals, beside EOS"
    return page(title, "group", table, lay_out, notes, pixel_notes=pixel_notes, about=about, said=said)


def _lines(block: Frame, titles: Mapping[str, str], marks: Sequence[str], reference: str) -> Frame:
    means = block["BAC"].astype(float).round(4)
    best = means == means.groupby(block["group"]).transform("max")
    bac = ("  " + block["BAC"].map(points)).mask(best, "**" + block["BAC"].map(points) + "**")
    bac += (" ± " + block["BAC_sd"].map(points)).replace(" ± ", "")
    lines = pd.DataFrame(
        {
            "": block["group"].map(_GROUPS).mask(block["group"].duplicated(), ""),
            "Method": [label + mark for label, mark in zip(_labels(block, titles), marks, strict=True)],
            "BAC": bac,
            f"To {reference}": block["to_reference"].map(difference_points),
            "Published": block["published_to_reference"].map(difference_points),
            "GM": block["GM"].map(points),
            "FM": block["FM"].map(points),
        }
    )
    return lines if block["published_BAC"].notna().any() else lines.drop(columns="Published")


def _labels(block: Frame, titles: Mapping[str, str]) -> list[str]:
    labels = []
    for row in block.to_dict("records"):
        method = titles.get(row["method"], display_name(row["method"]))
        if row["group"] == "networks":
            method = display_name(row["network"]) + ("" if row["method"] == "own" else f" + {method}")
        labels.append(method)
    return labels


def _said(block: Frame, titles: Mapping[str, str]) -> list[str]:
    """Say what is higher than SMOTE, and what is higher than the best form of EOS."""
    labels, methods = _labels(block, titles), block["method"].tolist()
    of_network = block["group"] == "embeddings"
    values = [round(float(value), 4) for value in block["BAC"]]  # as printed
    forms = [
        place for place, method in enumerate(methods) if method.startswith("eos") and of_network.iloc[place]
    ]
    bars = [place for place, method in enumerate(methods) if method == "smote" and of_network.iloc[place]]
    bars += [max(forms, key=lambda place: values[place])] if forms else []
    lines = []
    for bar in bars:
        above = [label for label, value in zip(labels, values, strict=True) if value > values[bar]]
        told = f": {'; '.join(above)}" if 0 < len(above) <= len(labels) / 2 else ""
        lines.append(
            f"Higher than {labels[bar]} ({points(values[bar])}): {len(above)} of {len(labels) - 1}{told}."
        )
    for known in block["published_on"].unique():
        if known:
            images, _, ratio = known.partition("_")
            lines.append(f"Published: on {display_name(images)} at {ratio}:1.")
    return [" ".join(lines)] if lines else []
