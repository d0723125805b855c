"""Embeddings of a trained network as one small file: what is in it, and that a set of embeddings takes it."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eos.data.embeddings import read_embeddings
from eos.errors import InputError
from eos.pipeline import paths
from eos.storage.files import write_arrays, write_json
from tests.helpers import ROOT, parameters

SIZES = {"train": 30, "validation": 6, "test": 12}


@pytest.fixture
def share() -> Any:
    spec = spec_from_file_location("share_embeddings", ROOT / "tools" / "share_embeddings.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.share


def stored(network: str) -> dict[str, np.ndarray]:
    """Write the embeddings of a network in the current folder and return them."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"weight": rng.normal(size=(3, 4)), "bias": rng.normal(size=3)}
    for part, size in SIZES.items():
        features = rng.normal(size=(size, 4))
        arrays |= {
            f"{part}_features": features,
            f"{part}_labels": np.arange(size) % 3,
            f"{part}_logits": features @ arrays["weight"].T + arrays["bias"],
        }
    arrays = {name: one.astype(np.float32) if one.dtype.kind == "f" else one for name, one in arrays.items()}
    arrays |= {"epoch": np.array(3), "precision": np.array("fp32")}
    write_arrays(paths.embeddings_file("digits", 0, network), arrays)
    write_json(paths.network_folder("digits", 0, network) / "network.json", {"class_names": ["a", "b", "c"]})
    return arrays


@pytest.mark.parametrize("network", ["ce", "ldam"])
def test_a_set_of_embeddings_takes_the_file(
    network: str, share: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    expected = stored(network)
    share(f"digits-0/{network}", tmp_path / "given" / "file.npz")
    found = read_embeddings(
        tmp_path / "given" / "file.npz", test_share=None, validation_fraction=0, seed=0, standardize=False
    )
    assert found.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(found.weight, expected["weight"])
    np.testing.assert_array_equal(found.bias, expected["bias"])
    # LDAM's are cosines, which its loss multiplies by a scale.
    scale = parameters().networks["ldam"].loss.scale if network == "ldam" else 1.0
    for part in SIZES:
        np.testing.assert_allclose(found.features[part], expected[f"{part}_features"], rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(found.labels[part], expected[f"{part}_labels"])
        if part != "train":
            np.testing.assert_allclose(
                found.logits[part], scale * expected[f"{part}_logits"], rtol=1e-3, atol=1e-2
            )


def test_a_cell_that_is_written_otherwise(share: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cell 'digits-0-ce': must be DATASET-CUT/NETWORK"):
        share("digits-0-ce", tmp_path / "file.npz")
    assert "share_embeddings" not in sys.modules
