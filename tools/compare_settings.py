"""Compare settings of EOS on many embeddings: fixed ones, "auto", and EOSCV where rows were held out.

    python tools/compare_settings.py digits FOLDER [--development]
    python tools/compare_settings.py score TABLE.csv FILE...
    python tools/compare_settings.py tell TABLE.csv...

`digits` trains networks on scikit-learn's digits with several cuts, losses, lengths, imbalances and
architectures and writes their embeddings; what is there is kept. `score` adds a row for each setting and seed
of each file (train_*, test_* and perhaps validation_*, `features` and `labels`) that the table does not have
yet; a head is trained as params.yaml says. Where a file has validation rows, every setting draws from both
parts. `tell` prints the summary as Markdown.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from eos.pipeline.processor import hold_to_portable_code

NEIGHBORS: tuple[Any, ...] = (10, 100, 300, 1000, "all")
STEPS = (0.25, 0.5, 0.75, 1.0)
SEEDS = (0, 1)
COLUMNS = ["set", "rows", "held_out", "imbalance", "setting", "seed", "BAC"]
CUTS, LOSSES = (1, 2, 3, 7, 10, 100), ("ce", "asl", "focal", "ldam")
EPOCHS, RATIOS = (10, 20, 60), (10, 20, 50)


def main() -> None:
    """Do one of the three things."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    digits = commands.add_parser("digits", help="train networks")
    digits.add_argument("folder", type=Path)
    digits.add_argument(
        "--development", action="store_true", help="those of cut 0, on which the rule was set"
    )
    score = commands.add_parser("score", help="score the settings on files of embeddings")
    score.add_argument("table", type=Path)
    score.add_argument("files", type=Path, nargs="+")
    tell = commands.add_parser("tell", help="print the summary")
    tell.add_argument("tables", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "digits":
        train_digits(options.folder, list(development() if options.development else evaluation()))
    elif options.command == "score":
        score_files(options.table, options.files)
    else:
        print(summary(options.tables))


def development() -> Iterator[dict[str, Any]]:
    """Yield the trainings on whose test rows the rule of "auto" was set: all of cut 0."""
    for ratio, epochs, loss in product(RATIOS, EPOCHS, ("ce", "ldam", "asl", "focal")):
        yield {"cut": 0, "loss": loss, "epochs": epochs, "ratio": ratio, "architecture": "resnet8"}


def evaluation() -> Iterator[dict[str, Any]]:
    """Yield the trainings that the settings are compared on: other cuts."""
    for (i, cut), (j, loss) in product(enumerate(CUTS), enumerate(LOSSES)):
        epochs, ratio = EPOCHS[(i + j) % 3], RATIOS[(i + 2 * j + i // 3) % 3]
        yield {"cut": cut, "loss": loss, "epochs": epochs, "ratio": ratio, "architecture": "resnet8"}
    for i, cut in enumerate(CUTS):
        small = {"cut": cut, "loss": LOSSES[i % 4], "epochs": EPOCHS[i % 3], "ratio": 10}
        yield small | {"architecture": "resnet8", "held_out": 0.2}
    for cut, architecture, epochs in ((1, "resnet20", 20), (2, "resnet32", 20), (3, "resnet56", 10)):
        yield {"cut": cut, "loss": "ce", "epochs": epochs, "ratio": 20, "architecture": architecture}


def train_digits(folder: Path, trainings: list[dict[str, Any]]) -> None:
    """Train networks as params.yaml trains digits, but for what each training says, and store embeddings."""
    import numpy as np

    from eos.config.loading import load
    from eos.data.digits import digits
    from eos.data.splits import exponential_counts, hold_out, imbalanced_subset
    from eos.losses.base import find_loss
    from eos.models.inference import extract, load_network
    from eos.storage.files import write_arrays
    from eos.training.augmentation import normalization_of
    from eos.training.config import TrainConfig
    from eos.training.loop import Images, train

    parameters = load(Path("params.yaml"))
    settings = parameters.training.model_dump() | parameters.datasets["digits"].training.model_dump(
        exclude_unset=True
    )
    for name in ("device", "cpu_threads", "balanced_epochs_share"):
        settings.pop(name, None)
    images = digits(Path(), test_per_class=50, seed=0)
    test = Images(images.test_images, images.test_labels)
    for training in trainings:
        cut, loss, epochs, held = (training.get(key, 0) for key in ("cut", "loss", "epochs", "held_out"))
        name = f"c{cut}-{loss}-e{epochs}-r{training['ratio']}-{training['architecture']}"
        file = folder / f"{name}{'-held' if held else ''}.npz"
        if file.exists():
            continue
        counts = exponential_counts(np.bincount(images.train_labels), training["ratio"])
        rows = imbalanced_subset(images.train_labels, counts, cut)
        mask = hold_out(images.train_labels[rows], held, seed=cut)
        parts = {
            part: Images(images.train_images[chosen], images.train_labels[chosen])
            for part, chosen in (("train", rows[~mask]), ("validation", rows[mask]))
        } | {"test": test}
        definition = parameters.networks[loss].loss
        trained = train(
            parts["train"],
            test,
            n_classes=10,
            architecture=training["architecture"],
            loss=loss,
            loss_parameters=definition.model_dump(exclude={"name"}),
            config=TrainConfig(**settings | {"epochs": epochs, "precision": "fp32", "score_every": epochs}),
            normalization=normalization_of(parts["train"].images),
            device="cpu",
        )
        network = load_network(
            trained.weights["last"],
            training["architecture"],
            channels=1,
            n_classes=10,
            classifier=find_loss(loss).classifier,
        )
        arrays: dict[str, np.ndarray] = {}
        for part, one in parts.items():
            if len(one.labels):
                features, _ = extract(network, one.images, trained.mean, trained.std, device="cpu")
                arrays |= {f"{part}_features": features, f"{part}_labels": one.labels}
        write_arrays(file, arrays)
        print(file, flush=True)


def score_files(table: Path, files: list[Path]) -> None:
    """Score all settings on the files that the table does not have yet."""
    import pandas as pd

    from eos.storage.files import write_table

    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=COLUMNS)
    for file in files:
        name = f"{file.parent.name}/{file.stem}"
        if name in set(known["set"]):
            continue
        rows = [[name, *row] for row in scores(file)]
        new = pd.DataFrame(rows, columns=COLUMNS).round({"BAC": 5})
        known = new if known.empty else pd.concat([known, new])
        write_table(table, known)
        print(name, flush=True)


def scores(file: Path) -> Iterator[list[Any]]:
    """Yield rows, held-out rows, imbalance, setting, seed and test balanced accuracy."""
    import numpy as np
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import PredefinedSplit

    from eos.config.loading import load
    from eos.heads.eos_cv import EOSCV
    from eos.heads.linear_head import LinearHead
    from eos.samplers.eos import EOS
    from eos.samplers.neighbors import ExactNeighbors, SharedLists
    from eos.samplers.oversampling import smote

    warnings.simplefilter("ignore", UserWarning)  # a K that is lowered, a class without enemies, small scales
    recipe = load(Path("params.yaml")).head_training.model_dump(exclude={"curve_epochs", "seeds"})
    with np.load(file) as stored:
        parts = {
            part: (stored[f"{part}_features"].astype(np.float32), stored[f"{part}_labels"].astype(np.int64))
            for part in ("train", "validation", "test")
            if f"{part}_labels" in stored
        }
    X_test, y_test = parts.pop("test")
    X, y = (np.concatenate(arrays) for arrays in zip(*parts.values(), strict=True))
    held = len(y) - len(parts["train"][1])
    counts = np.bincount(y)
    about = [len(y), held, round(counts.max() / counts[counts > 0].min(), 1)]
    shared = SharedLists(max(k for k in NEIGHBORS if k != "all") + 1)

    def score(head: Any) -> float:
        return float(balanced_accuracy_score(y_test, head.predict(X_test)))

    settings: list[tuple[Any, Any]] = [*product(NEIGHBORS, STEPS), ("auto", "auto")]
    for seed in SEEDS:
        head = LinearHead(**recipe, random_state=seed)
        yield [*about, "none", seed, score(head.fit(X, y))]
        yield [*about, "SMOTE", seed, score(head.fit(*smote(X, y, seed, k_neighbors=5)))]
        for k, step in settings:
            search = k if isinstance(k, str) else ExactNeighbors(k + 1, shared=shared)
            sampler = EOS(k_neighbors=search, step_size=step, random_state=seed)
            yield [*about, f"{k}, {step}", seed, score(head.fit(*sampler.fit_resample(X, y)))]
        if held:
            split = PredefinedSplit(np.repeat([-1, 0], [len(y) - held, held]))
            for scoring, name in (
                (None, "EOSCV"),
                ("balanced_accuracy", "EOSCV by accuracy"),
            ):
                model = EOSCV(head=head, cv=split, scoring=scoring, random_state=seed).fit(X, y)
                chosen = f"{model.best_k_neighbors_}, {model.best_step_size_}"
                yield [*about, f"{name}: {chosen}", seed, score(model)]


def summary(tables: list[Path]) -> str:
    """Return how the settings compare, in Markdown."""
    import pandas as pd

    table = pd.concat([pd.read_csv(path) for path in tables])
    table["chosen"] = table["setting"].str.extract("^EOSCV: (.*)")
    table["setting"] = table["setting"].str.replace(r"^(EOSCV.*):.*", r"\1", regex=True)
    grid = table.pivot_table(index="set", columns="setting", values="BAC")
    fixed = grid[[f"{k}, {step}" for k, step in product(NEIGHBORS, STEPS)]]
    best = fixed.mean().idxmax()
    auto = "auto, auto"
    held = grid["EOSCV"].dropna().index if "EOSCV" in grid else grid.index[:0]
    lines = [
        f"{len(grid)} embeddings, {len(held)} of them with held-out rows; best fixed setting: {best}",
        "",
    ]
    lines += [
        "| mean over | "
        + " | ".join(shown := ["SMOTE", "10, 1.0", best, auto, "EOSCV", "EOSCV by accuracy"])
        + " |"
    ]
    lines += ["|:--|" + "--:|" * len(shown)]
    groups = {"all": grid, "held out": grid.loc[held]}
    groups |= dict(iter(grid.groupby(grid.index.str.partition("/").get_level_values(0))))
    for name, part in groups.items():
        values = [
            f"{part[one].mean():.4f}" if one in part and part[one].notna().all() else "" for one in shown
        ]
        lines += [f"| {name} ({len(part)}) | " + " | ".join(values) + " |"]
    lines += ["", "| setting | mean | worst against SMOTE | below SMOTE |", "|:--|--:|--:|--:|"]
    for one in [*fixed.mean().sort_values(ascending=False).index, auto]:
        less = grid[one] - grid["SMOTE"]
        lines += [f"| {one} | {grid[one].mean():.4f} | {less.min():+.3f} | {(less < 0).sum()} |"]
    lines += [
        "",
        "| embeddings | imbalance | SMOTE | 10, 1.0 | best fixed | auto | EOSCV | it chose | best here |",
    ]
    lines += ["|:--|--:|--:|--:|--:|--:|--:|:--|:--|"]
    imbalance = table.groupby("set")["imbalance"].first()
    chosen = table.dropna(subset="chosen").groupby("set")["chosen"].agg("; ".join)
    for name, row in grid.iterrows():
        values = [f"{row[one]:.3f}" if one in row and row[one] == row[one] else "" for one in shown[:5]]
        top = fixed.loc[name]
        lines += [
            f"| {name} | {imbalance[name]:g} | {' | '.join(values)} | {chosen.get(name, '')} | "
            f"{top.idxmax()}: {top.max():.3f} |"
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] != ["tell"]:
        hold_to_portable_code()
    main()
