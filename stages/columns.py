"""The tidy results: which tables there are, and their columns."""

CELL = ["dataset", "cut", "network", "head"]
CLASS = ["class", "class_name", "train_count"]
COLUMNS = {
    "scores": [*CELL, "seed", "selection", "epoch", "BAC", "GM", "FM", "net_gap"],
    "classes": [*CELL, *CLASS, "recall", "gap", "weight_norm"],
    "gaps": [*CELL[:3], *CLASS, "gap", "true_positive_gap", "false_positive_gap"],
    "curves": [*CELL, "epoch", "loss", "train_BAC", "train_BAC_sd", "test_BAC", "test_BAC_sd"],
    "notes": [*CELL, "note"],
    "balanced": [
        *("dataset", "cut", "sampler", "network", "seed", "selection", "epoch", "BAC", "GM", "FM", "note"),
    ],
}
SCORED = ("scores", "classes", "gaps", "curves", "notes")
# Between several notes in one field.
NOTES_BETWEEN = " | "
TEXT = {"dataset", "network", "head", "sampler", "selection", "class_name", "note"}
