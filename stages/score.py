"""Score every head of every network: DATASET CUT -> metrics/<kind>/<dataset>-<cut>.csv."""

from eos.pipeline.command import parameters, run


def main(dataset: str, cut: int) -> None:
    """Write tidy tables, a row per observation: see `eos.storage.layouts.COLUMNS`."""
    from eos.pipeline.paths import results_file
    from eos.pipeline.scoring import score_heads
    from eos.storage.files import write_table

    for kind, table in score_heads(parameters(), dataset, cut).items():
        write_table(results_file(kind, dataset, cut), table)


if __name__ == "__main__":
    run(main, embeddings=True)
