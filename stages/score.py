"""Score every head of every network: DATASET CUT -> metrics/*/<dataset>-<cut>.csv, data/predictions/."""

from eos.pipeline.command import parameters, run


def main(dataset: str, cut: int) -> None:
    """Write tidy tables, a row per observation: see `eos.storage.layouts.COLUMNS`; and all predictions."""
    from eos.pipeline.paths import predictions_file, results_file
    from eos.pipeline.scoring import score_heads, training_histories
    from eos.storage.files import write_arrays, write_table

    tables, predictions = score_heads(parameters(), dataset, cut)
    write_arrays(predictions_file(dataset, cut), predictions)
    for kind, table in tables.items():
        write_table(results_file(kind, dataset, cut), table)
    if dataset not in parameters().embeddings:  # whose networks were trained elsewhere
        write_table(results_file("histories", dataset, cut), training_histories(parameters(), dataset, cut))


if __name__ == "__main__":
    run(main, embeddings=True)
