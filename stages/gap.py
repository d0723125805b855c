"""Measure the generalization gap of a network's embeddings: DATASET CUT NETWORK -> data/gap/..."""

import common
from eos.metrics.gap import generalization_gap, outcome_gaps
from eos.storage.files import write_arrays
from eos.storage.layouts import EMBEDDINGS, read_stored


def main(dataset: str, cut: int, network: str) -> None:
    """Write the gap of each class, over all its test images and over those classified rightly and wrongly."""
    path = common.embeddings_file(dataset, cut, network)
    data = read_stored(
        path, EMBEDDINGS, "train_features", "train_labels", "test_features", "test_labels", "test_logits"
    )
    train = data["train_features"], data["train_labels"]
    test = data["test_features"], data["test_labels"]
    true_positives, false_positives = outcome_gaps(*train, *test, data["test_logits"].argmax(axis=1))
    write_arrays(
        common.gap_file(dataset, cut, network),
        {
            "gap": generalization_gap(*train, *test),
            "true_positive_gap": true_positives,
            "false_positive_gap": false_positives,
        },
    )


if __name__ == "__main__":
    common.run(main)
