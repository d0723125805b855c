"""Every architecture and loss by the name that `params.yaml` calls it: where it is, what it has to be given.

To add one, write it in `eos.models.network` or `eos.losses.base` (or a module of your own) and add its line here; see
docs/extending.md. Samplers and generators have lines of their own in `eos.samplers.oversampling` and
`eos.generators.generation`. Nothing is imported until it is used: reading the parameters must not load torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from eos.errors import unknown_name
from eos.kinds import Fraction, NonNegative, Rate, ZeroToOne


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes
    ----------
    where : str
        `module:attribute`.
    parameters : mapping of str to type
        What a definition in `params.yaml` must give besides the name, and of which kind (see `eos.kinds`).
    """

    where: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Any:
        """Return what the name stands for."""
        module, attribute = self.where.split(":")
        return getattr(import_module(module), attribute)


#: Backbones: called with `channels`, they return an `eos.models.network.Backbone`.
ARCHITECTURES: dict[str, Entry] = {
    "resnet8": Entry("eos.models.resnet:resnet8"),
    "resnet20": Entry("eos.models.resnet:resnet20"),
    "resnet32": Entry("eos.models.resnet:resnet32"),
    "resnet56": Entry("eos.models.resnet:resnet56"),
    "wideresnet": Entry("eos.models.wideresnet:wideresnet"),
    "densenet": Entry("eos.models.densenet:densenet"),
}

#: Losses: subclasses of `eos.losses.base.Loss`, called with the class counts and their parameters.
LOSSES: dict[str, Entry] = {
    "ce": Entry("eos.losses.base:CrossEntropy"),
    "asl": Entry(
        "eos.losses.base:AsymmetricLoss",
        {"gamma_positive": NonNegative, "gamma_negative": NonNegative, "label_smoothing": Fraction},
    ),
    "focal": Entry("eos.losses.base:FocalLoss", {"gamma": NonNegative}),
    "ldam": Entry(
        "eos.losses.base:LDAMLoss",
        {"max_margin": Rate, "scale": Rate, "reweight_from": ZeroToOne, "beta": Fraction},
    ),
}


def find(table: Mapping[str, Entry], name: str, *, what: str, place: str) -> Entry:
    """Return the entry of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in table:
        raise unknown_name(name, table, what=what, place=place)
    return table[name]
