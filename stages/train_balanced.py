"""Train on images that were balanced before: KIND DATASET CUT SAMPLER NETWORK -> models/<kind>/..."""

from typing import Any, Literal

from eos.pipeline.command import parameters, run


def main(
    kind: Literal["augmented", "generated"], dataset: str, cut: int, sampler: str, network: str
) -> dict[str, Any]:
    """Write what `train` does, and the scores; the images are `augmented` or `generated`."""
    from eos.config.cells import synthetic_from
    from eos.pipeline.fitting import Job, fit_network
    from eos.pipeline.paths import augmented_file, balanced_folder, generated_file

    synthetic = augmented_file if kind == "augmented" else generated_file
    job = Job(
        dataset,
        cut,
        network,
        balanced_folder(kind, dataset, cut, sampler, network=network),
        synthetic=synthetic(dataset, cut, sampler),
        sampler=sampler,
        synthetic_from=synthetic_from(parameters(), kind, sampler),
    )
    return fit_network(parameters(), job)


if __name__ == "__main__":
    run(main)
