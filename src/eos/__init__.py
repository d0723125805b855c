"""Expansive Over-Sampling (EOS) for imbalanced deep learning.

The public names work on embeddings from any source and need neither torch nor the pipeline:

- `EOS` and `BalancedSVM`: imbalanced-learn samplers; `FallbackWarning`: what `EOS` warns with;
- `LinearHead`: a scikit-learn classifier, the paper's retrained classifier head;
- `generalization_gap`: how far the test embeddings of each class reach beyond the training ones.

They are loaded on first use, so that `import eos` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eos.heads.linear_head import LinearHead
    from eos.metrics.gap import generalization_gap
    from eos.samplers.balanced_svm import BalancedSVM
    from eos.samplers.eos import EOS, FallbackWarning

__all__ = ["EOS", "BalancedSVM", "FallbackWarning", "LinearHead", "generalization_gap"]
__version__ = "0.1.0"

_HOMES = {
    "EOS": "eos.samplers.eos",
    "FallbackWarning": "eos.samplers.eos",
    "BalancedSVM": "eos.samplers.balanced_svm",
    "LinearHead": "eos.heads.linear_head",
    "generalization_gap": "eos.metrics.gap",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'eos' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
