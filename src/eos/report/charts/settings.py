"""Balanced accuracy of EOS by number of neighbours K and step size."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from eos.registry import display_name
from eos.report.figures import style

_BESIDE = ("own", "smote")  # heads without these settings, as lines to compare with
_LINE = ["variant", "step_size"]
_LOOKS = [style.LOOKS["eos"], *style.MORE_LOOKS]


def settings_data(
    scores: pd.DataFrame, dataset: str, networks: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the balanced accuracy of every setting of EOS that was run.

    Parameters
    ----------
    scores
        Columns dataset, cut, network, head, seed, BAC.
    dataset
        The dataset to show.
    networks
        The panels, in this order.
    settings
        By head: k_neighbors, step_size and variant.

    Returns
    -------
    pandas.DataFrame
        One row per network and head, sorted by variant, step size (the largest first) and K: dataset,
        network, head, variant, step_size, k_neighbors, n (runs: cuts and seeds), BAC (their mean), BAC_sd
        (n - 1).
    """
    shown = scores["dataset"].eq(dataset) & scores["network"].isin(networks) & scores["head"].isin(settings)
    grouped = scores[shown].groupby(["dataset", "network", "head"], as_index=False)
    data = grouped.agg(n=("BAC", "size"), BAC_mean=("BAC", "mean"), BAC_sd=("BAC", "std"))
    data = data.rename(columns={"BAC_mean": "BAC"})
    for place, name in enumerate([*_LINE, "k_neighbors"], 3):
        data.insert(place, name, [settings[head][name] for head in data["head"]])
    data = data.sort_values([*_LINE, "k_neighbors"], ascending=[False, False, True])
    return style.in_order(data, {"network": networks})


@style.house_style
def settings_figure(
    scores: pd.DataFrame, dataset: str, networks: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> Figure:
    """Draw what `settings_data` returns: a panel per network, over K a line per step size and variant."""
    data = settings_data(scores, dataset, networks, settings)
    several = data["network"].value_counts().loc[lambda counts: counts > 1].index
    if len(several):  # a network with a single setting has nothing to compare
        data = data[data["network"].isin(several)]
    shown = style.held(data, dataset, networks)
    titles = [display_name(network) for network in shown]
    figure, panels = style.titled_panels(titles, style.columns_of(len(shown)), (5.0, 3.4), rest=0.6)
    lines = data.drop_duplicates(_LINE)[_LINE]
    looks = dict(zip(lines.itertuples(index=False, name=None), _LOOKS * len(lines), strict=False))
    handles: dict[str, Any] = {}
    for axes, network in zip(panels, shown, strict=True):
        beside = scores[(scores["dataset"] == dataset) & (scores["network"] == network)]
        handles |= _draw_network(axes, data[data["network"] == network], beside, looks)
    deviations = "; whiskers: ± 1 standard deviation over its runs" if data["BAC_sd"].notna().any() else ""
    figure.suptitle(
        "EOS by number of neighbours K and step size\n"
        f"{display_name(dataset)}, {style.cuts_text(scores, dataset)}{deviations}"
    )
    figure.supylabel("balanced accuracy (0 to 1)", fontsize=10)
    style.caption_below(figure, _caption(data), list(handles.values()))
    return figure


def _draw_network(
    axes: Axes, points: pd.DataFrame, scores: pd.DataFrame, looks: Mapping[Any, tuple[str, str]]
) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    for (variant, size), line in points.groupby(_LINE, sort=False):
        colour, marker = looks[variant, size]
        label = f"EOS, step {size:g}" + ("" if variant == "toward" else f", {variant}")
        drawn: dict[str, Any] = {"color": colour, "marker": marker, "mec": "white", "mew": 0.6, "capsize": 3}
        handles[label] = axes.errorbar(
            line["k_neighbors"],
            line["BAC"],
            yerr=line["BAC_sd"].fillna(0),
            label=label,
            elinewidth=1,
            **drawn,
        )
    for head, dashes in zip(_BESIDE, (":", "--"), strict=True):
        mean = scores.loc[scores["head"] == head, "BAC"].mean()
        if pd.notna(mean):
            look: dict[str, Any] = {"color": style.LOOKS[head][0], "lw": 1.4, "ls": dashes, "zorder": 1}
            handles[head] = axes.axhline(mean, label=display_name(head), **look)
    sizes = sorted(set(points["k_neighbors"]))
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
    axes.set_xlabel("K, the neighbours that are searched for enemies (log scale)")
    style.rule(axes)
    return handles


def _caption(data: pd.DataFrame) -> str:
    text = "Higher is better; above a dotted or dashed line, EOS beats that head. "
    best = data.loc[data.groupby("network", sort=False)["BAC"].idxmax()]
    told = [
        (f"{display_name(network)}, " if len(best) > 1 else "")
        + f"K = {k}, step {size:g}{'' if variant == 'toward' else f', {variant}'}: {bac:.3f}"
        for network, variant, size, k, bac in best[["network", *_LINE, "k_neighbors", "BAC"]].to_numpy()
    ]
    if told:
        text += f"Highest: {'; '.join(told)}. That is read off the test set: choose on held-out samples."
    return text
