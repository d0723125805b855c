"""Pretrained backbones of torchvision and timm, and how each library prepares pictures for them."""

import difflib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from eos.data.torchvision_import import import_torchvision
from eos.errors import InputError, placed
from eos.models.pretrained import read_state_dict, start_from

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Pretrained:
    """A backbone.

    Attributes
    ----------
    module : nn.Module
        Maps prepared pictures, `(n, 3, height, width)`, to what its library classifies by, `(n, n_features)`.
    prepare : callable
        Resizes, crops and normalises one RGB picture to `(3, height, width)`.
    """

    module: nn.Module
    prepare: "Callable[[Image], Tensor]"


def torchvision_backbone(name: str, weights: Path | None) -> Pretrained:
    """Return a classification network of torchvision without its last layer.

    Parameters
    ----------
    name
        As `torchvision.models.list_models` has it.
    weights
        A file of its state dict (see `eos.models.pretrained.read_state_dict`); None for the library's own
        best, which it downloads to its cache.

    Raises
    ------
    InputError
        If there is no such network, it has no linear last layer, the file is none of its weights, or the
        download fails.
    """
    models = import_torchvision("models")
    _check("torchvision", name, models.list_models(module=models))
    default = models.get_model_weights(name).DEFAULT
    with warnings.catch_warnings(action="ignore"):  # that drawing the weights of some takes long
        module: Any = models.get_model(name, weights=None)
    linear = [at for at, one in module.named_modules() if isinstance(one, nn.Linear)]
    if not linear:
        raise InputError(f"torchvision's {name!r} has no linear last layer to take off; choose another")
    parent, _, last = linear[-1].rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())
    if weights is None:
        # Beyond what their digest says they are only weights: torch's default would unpickle anything.
        state = _downloaded(name, lambda: default.get_state_dict(check_hash=True, weights_only=True))
    else:
        state = read_state_dict(weights)
    with placed(str(weights or name)):
        start_from(module, state, head=linear[-1])
    return Pretrained(module, default.transforms())


def timm_backbone(name: str, weights: Path | None) -> Pretrained:
    """Return a model of timm without its classifier.

    Parameters
    ----------
    name
        As `timm.list_models` has it, with or without the tag of its weights:
        `vit_small_patch14_dinov2.lvd142m`.
    weights
        A file of its state dict; None for the library's own, which it downloads to its cache.

    Raises
    ------
    InputError
        If timm is not installed, has no such model, the file is none of its weights, or the download fails.
    """
    import_torchvision("models")  # which timm imports
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError("timm is not installed; pip install 'eos-imbalanced[backbones]'") from error
    if not timm.is_model(name):
        _check("timm", name, timm.list_models())
    module: Any
    if weights is None:
        module = _downloaded(name, lambda: timm.create_model(name, pretrained=True, num_classes=0))
    else:
        state = read_state_dict(weights)
        try:
            defaults: Any = timm.get_pretrained_cfg(name)
            classifier = state.get(f"{defaults.classifier}.weight")
            # With as many classes as the file has, timm is strict; otherwise it takes any weights, or none.
            known: dict[str, Any] = {"num_classes": 0 if classifier is None else len(classifier)}
            overlay = known | {"state_dict": state}
            module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **known)
            module.reset_classifier(0)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{weights}: not the weights of timm's {name!r} ({reason}); name theirs"
            ) from error
    settings = timm.data.resolve_model_data_config(module)
    return Pretrained(module, timm.data.create_transform(**settings, is_training=False))


def _check(library: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise InputError(f"{library}/{name}: no such model; {hint}{library}'s list_models() has all names")


def _downloaded(name: str, download: Callable[[], Any]) -> Any:
    try:
        return download()
    except (OSError, RuntimeError, ValueError) as error:  # no network, no such weights, another digest
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name}: its weights could not be downloaded ({reason}); fetch them elsewhere and name the file "
            "by --weights"
        ) from error
