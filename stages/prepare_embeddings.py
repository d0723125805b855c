"""Bring a set of embeddings into one form: SET -> data/embeddings/<set>-0/, data/classes/<set>-0.npz."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write what `extract` does of every network of the set; and the names and the sizes of the classes."""
    import numpy as np

    from eos.config.cells import cuts_of
    from eos.data.embeddings import read_embeddings
    from eos.errors import InputError, placed
    from eos.pipeline.paths import PARAMETERS, classes_file, embeddings_file, given_file
    from eos.storage.files import write_arrays

    definition, cut = parameters().embeddings[dataset], cuts_of(parameters(), dataset)[0]
    known: dict[str, np.ndarray] = {}
    for network, file in definition.networks.items():
        path = given_file(dataset, file)
        print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB" if path.exists() else path, flush=True)
        with placed(f"{PARAMETERS}: embeddings.{dataset}"):
            found = read_embeddings(
                path,
                test_share=definition.test_share,
                validation_fraction=parameters().split.validation_fraction,
                seed=definition.seed,
                standardize=definition.standardize,
            )
        for line in found.told:
            print(f"{network}: {line}", flush=True)
        counts = np.bincount(found.labels["train"], minlength=len(found.class_names))
        classes = {"class_names": np.array(found.class_names), "class_counts": counts}
        known = known or classes
        for name, array in classes.items():
            if not np.array_equal(array, known[name]):
                other = next(iter(definition.networks))
                raise InputError(
                    f"{path}: {name.replace('_', ' ')} differ from those of {other!r}; give networks that "
                    "saw the same rows, class names in one order, or make two sets of them"
                )
        arrays: dict[str, np.ndarray] = {
            "weight": found.weight,
            "bias": found.bias,
            "mean": found.mean,
            "deviation": found.deviation,
            "epoch": np.array(0),
            "precision": np.array(found.dtype),
        }
        for part in found.features:
            arrays |= {
                f"{part}_features": found.features[part],
                f"{part}_logits": found.logits[part],
                f"{part}_labels": found.labels[part],
            }
            n_rows, width = found.features[part].shape
            print(f"{network}: {n_rows:,} {part} rows of {width} features", flush=True)
        write_arrays(embeddings_file(dataset, cut, network), arrays)
    write_arrays(classes_file(dataset, cut), known)


if __name__ == "__main__":
    run(main, embeddings=True)
