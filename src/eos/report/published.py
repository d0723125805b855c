"""The paper's own numbers, beside ours.

`published.csv` holds the cells of Tables I to V and the one cell of Section V-E3 (EOS in pixel space), under
the names of the parameters: the network is the loss on the data set's architecture, in Table V the
architecture trained with cross-entropy; method `own` is the paper's baseline; ReMix is the own classifier of
the network `remix`. K is 10 wherever the paper does not say otherwise. The paper chose its epochs on the test
set and gives no deviations.

Oddities of the paper, kept as published:

- Table III has the same numbers for CGAN and EOS on CelebA with CE; its GM of EOS on CelebA with Focal is
  .8742 where Table II has .8724.
- Table I has GM .7547 for Borderline-SMOTE on CIFAR-100 where Table II has .7548.
- The WideResNet baseline of Table V has the numbers of K = 50 on CIFAR-10 in Table IV.
- Section V-B says that embedding space wins "7 out of 9" comparisons of Table I; the table has 12, and it
  wins 10.
- EOS is not the best method of Table II for CelebA with ASL and for CIFAR-100 with LDAM.
- On a balanced test set of C classes GM = sqrt(BAC (1 - (1 - BAC) / (C - 1))). The cells obey it to a unit
  of the fourth digit, but not that .8742, the GAN columns of Table III, most rows of K > 10 in Table IV
  outside CIFAR-10, SMOTE on the pixels of SVHN in Table I (.9224; it would be .9165) and the baseline of ASL
  on CIFAR-10 in Table II (.8254; .8289).

References
----------
.. [1] D. Dablain, C. Bellinger, B. Krawczyk, N. Chawla, "Efficient Augmentation for Imbalanced Deep
   Learning", 2022, arXiv:2207.06080.
"""

from importlib import resources

import pandas as pd

from eos.errors import unknown_name
from eos.report.tables import CELL, with_cells
from eos.report.wording import METRICS

# Where the cells of each of our tables are published; the first that has a cell gives it. Ours has more rows
# than the paper's Table I, and they are found where the paper reports the same experiment.
_TABLES = {1: ("I", "V-E3", "II"), 2: ("II",), 3: ("III",), 4: ("IV",), 5: ("V",)}


def published() -> pd.DataFrame:
    """Return the paper's numbers, one row per cell.

    Returns
    -------
    pandas.DataFrame
        Columns table ("I" to "V", "V-E3"), dataset, network, space ("pixel", "embedding", "none"), method,
        k_neighbors (of EOS; else empty), BAC, GM, FM (fractions of 1).
    """
    with (resources.files("eos.report") / "published.csv").open(encoding="utf-8") as file:
        numbers = ["k_neighbors", *METRICS]
        # "none" is a name here; only a missing number is empty.
        return pd.read_csv(file, keep_default_na=False, na_values={name: [""] for name in numbers})


def with_published(table: pd.DataFrame, which: int) -> pd.DataFrame:
    """Set the paper's numbers beside ours.

    Cells match by data set, network, space and method; in Table IV by data set, network and K. The names are
    taken at their word: nothing here knows whether our settings are the paper's.

    Parameters
    ----------
    table
        From the function `table1` to `table5` of `eos.report.tables`.
    which
        The number of that table, 1 to 5.

    Returns
    -------
    pandas.DataFrame
        The table with paper_BAC, paper_GM, paper_FM and difference_BAC, difference_GM, difference_FM (ours
        minus the paper's), empty where a cell was not published or, for the differences, not run.

    Raises
    ------
    InputError
        If `which` is no table of the paper.
    """
    if which not in _TABLES:
        raise unknown_name(which, [str(number) for number in _TABLES], what="table", place="with_published")
    paper = published().set_index("table").loc[list(_TABLES[which])]
    cells, key = with_cells(table), ["dataset", *CELL]
    if which == 4:  # where every row is a head of its own, and K says which
        numbers = pd.to_numeric(table["k_neighbors"], errors="coerce")  # not the "all" of a head
        cells, key = with_cells(table.assign(head="eos", k_neighbors=numbers)), [*key, "k_neighbors"]
    found = cells[key].merge(paper.drop_duplicates(key), on=key, how="left").set_index(table.index)
    return table.assign(
        **{f"paper_{metric}": found[metric] for metric in METRICS},
        **{f"difference_{metric}": table[metric].astype(float) - found[metric] for metric in METRICS},
    )
