"""Weights that others have trained: read from a file, never unpickled, and put into a backbone."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from eos.errors import InputError
from eos.models.two_branches import TwoBranches

_SHOWN = 3  # names in a message


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read named weights from a `.safetensors` file, or from one that `torch.save` wrote of a state dict.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds anything but named tensors.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; a relative path starts at {Path.cwd()}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        ValueError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: damaged, or holds more than weights, which is never unpickled ({reason}); save a state "
            "dict as safetensors"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict of named tensors; save one as safetensors")
    return dict(content)


def start_from(backbone: nn.Module, weights: Mapping[str, Tensor], *, head: str = "fc") -> None:
    """Put pretrained weights into a backbone, bit for bit.

    Those of a whole network will do, of this pipeline or of a library: its classifier is left out. A first
    convolution for colours becomes one for grey by the sum over the colours, which gives what grey pictures
    in three equal channels would. Of a network of two branches both start from the one that there is.

    Parameters
    ----------
    backbone
        Of freshly drawn weights.
    weights
        By name, as `read_state_dict` returns them.
    head
        What the library calls the classifier.

    Raises
    ------
    InputError
        If they are the weights of another architecture.
    """
    own = {name.removeprefix("backbone."): weights[name] for name in weights if name.startswith("backbone.")}
    given = own or {name: value for name, value in weights.items() if not name.startswith(f"{head}.")}
    if isinstance(backbone, TwoBranches):
        twins = {name.removeprefix(backbone.twin): name for name in given if name.startswith(backbone.twin)}
        given = {f"rebalancing.{end}": given[name] for end, name in twins.items()} | given
    for name, value in backbone.state_dict().items():
        if value.ndim == 4 and value.shape[1] == 1 and name in given and given[name].shape[1:2] == (3,):
            given[name] = given[name].sum(dim=1, keepdim=True)
    try:
        backbone.load_state_dict(given)
    except RuntimeError as error:
        known = backbone.state_dict()
        lacking, more = sorted(known.keys() - given.keys()), sorted(given.keys() - known.keys())
        other = [name for name in known if name in given and known[name].shape != given[name].shape]
        told = "; ".join(
            f"{len(names)} {what}: {', '.join(names[:_SHOWN])}"
            for names, what in ((lacking, "missing"), (more, "too many"), (other, "of another shape"))
            if names
        )
        raise InputError(f"weights of another architecture ({told}); name theirs") from error
