"""Write the embeddings of a trained network as one small file, which a set of embeddings takes.

    python tools/share_embeddings.py cifar10_jpeg-0/ce data/given/photographs/ce.npz

The numbers are rounded to float16, which the file is told by; everything else is as `extract` left it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from eos.config.cells import logit_scale
from eos.config.loading import load
from eos.errors import InputError
from eos.pipeline.paths import PARAMETERS, embeddings_file, network_folder
from eos.storage.files import read_json
from eos.storage.layouts import EMBEDDINGS, read_stored


def share(cell: str, file: Path) -> None:
    """Write the embeddings of the cell `DATASET-CUT/NETWORK` as a compressed `.npz`.

    Raises
    ------
    InputError
        If there are none, or they are damaged.
    """
    place, _, network = cell.partition("/")
    dataset, _, cut = place.rpartition("-")
    if not (dataset and cut.isdecimal() and network):
        raise InputError(f"cell {cell!r}: must be DATASET-CUT/NETWORK, digits-0/ce say")
    stored = read_stored(embeddings_file(dataset, int(cut), network), EMBEDDINGS)
    names = read_json(network_folder(dataset, int(cut), network) / "network.json")["class_names"]
    arrays = {
        "class_names": np.array(names),
        "classifier_weight": stored["weight"],
        "classifier_bias": stored["bias"],
    }
    for part in ("train", "validation", "test"):
        arrays[f"{part}_features"] = stored[f"{part}_features"].astype(np.float16)
        arrays[f"{part}_labels"] = stored[f"{part}_labels"].astype(np.min_scalar_type(len(names)))
    # Logits as the softmax of the loss has them, so that probabilities can be made of them.
    scale = np.float32(logit_scale(load(PARAMETERS), dataset, network))
    for part in ("validation", "test"):
        arrays[f"{part}_logits"] = (scale * stored[f"{part}_logits"]).astype(np.float16)
    for name, array in arrays.items():
        if array.dtype == np.float16 and not np.isfinite(array).all():
            raise InputError(f"{cell}: {name} does not fit into float16; it cannot be shared in this form")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, allow_pickle=False, **arrays)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cell", metavar="DATASET-CUT/NETWORK")
    parser.add_argument("file", type=Path, metavar="FILE.npz")
    given = parser.parse_args()
    try:
        share(given.cell, given.file)
    except InputError as error:
        sys.exit(f"error: {error}")
