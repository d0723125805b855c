"""Measure the generalization gap of every network's embeddings: DATASET CUT -> data/gap/..."""

from eos.pipeline.command import parameters, run


def main(dataset: str, cut: int) -> None:
    """Write the gap of each class, over all its test images and over those classified rightly and wrongly."""
    import numpy as np

    from eos.config.cells import networks_of
    from eos.metrics.gap import generalization_gap, outcome_gaps
    from eos.pipeline.paths import embeddings_file, gap_file
    from eos.storage.files import write_arrays
    from eos.storage.layouts import EMBEDDINGS, read_stored

    for network in networks_of(parameters(), dataset):
        data = read_stored(embeddings_file(dataset, cut, network), EMBEDDINGS)
        train = data["train_features"], data["train_labels"]
        test = data["test_features"], data["test_labels"]
        gap = generalization_gap(*train, *test)
        true_positives = false_positives = np.full_like(gap, np.nan)
        if data["test_logits"].shape[1]:  # the network has a classifier
            true_positives, false_positives = outcome_gaps(*train, *test, data["test_logits"].argmax(axis=1))
        gaps = {"gap": gap, "true_positive_gap": true_positives, "false_positive_gap": false_positives}
        write_arrays(gap_file(dataset, cut, network), gaps)


if __name__ == "__main__":
    run(main, embeddings=True)
