"""Expansive Over-Sampling (EOS) for imbalanced deep learning.

The public names work on embeddings from any source and need neither torch nor the pipeline, but for the last:

- `EOS`, `BalancedSVM`, `TailCalib`, `SWIM`, `ManifoldOverSampler`, `RBO`, `CCR`: imbalanced-learn samplers;
- `FallbackWarning`: what `EOS` warns with;
- `LinearHead`: a scikit-learn classifier, the paper's retrained classifier head;
- `EOSCV`: EOS and a head, K and step size chosen on held-out rows;
- `NearestClassMean`, `TauNormalized` and `PostHocLogitAdjustment`: rivals of it, which train nothing;
- `BalancedDataset` and `BalancedBatchSampler`: EOS in a training loop of one's own, in PyTorch say;
- `generalization_gap`: how far the test embeddings of each class reach beyond the training ones;
- `load`: reads a classifier that `python -m eos export` wrote, for new images.

They are loaded on first use, so that `import eos` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eos.classifier.classifier import load
    from eos.heads.eos_cv import EOSCV
    from eos.heads.estimators import NearestClassMean, PostHocLogitAdjustment, TauNormalized
    from eos.heads.linear_head import LinearHead
    from eos.metrics.gap import generalization_gap
    from eos.samplers.balanced_svm import BalancedSVM
    from eos.samplers.batches import BalancedBatchSampler, BalancedDataset
    from eos.samplers.ccr import CCR
    from eos.samplers.eos import EOS, FallbackWarning
    from eos.samplers.manifold import ManifoldOverSampler
    from eos.samplers.rbo import RBO
    from eos.samplers.swim import SWIM
    from eos.samplers.tailcalib import TailCalib

__all__ = [
    "CCR",
    "EOS",
    "EOSCV",
    "RBO",
    "SWIM",
    "BalancedBatchSampler",
    "BalancedDataset",
    "BalancedSVM",
    "FallbackWarning",
    "LinearHead",
    "ManifoldOverSampler",
    "NearestClassMean",
    "PostHocLogitAdjustment",
    "TailCalib",
    "TauNormalized",
    "generalization_gap",
    "load",
]
__version__ = "0.1.0"

_HOMES = {
    "CCR": "eos.samplers.ccr",
    "EOS": "eos.samplers.eos",
    "EOSCV": "eos.heads.eos_cv",
    "BalancedBatchSampler": "eos.samplers.batches",
    "BalancedDataset": "eos.samplers.batches",
    "FallbackWarning": "eos.samplers.eos",
    "BalancedSVM": "eos.samplers.balanced_svm",
    "LinearHead": "eos.heads.linear_head",
    "ManifoldOverSampler": "eos.samplers.manifold",
    "NearestClassMean": "eos.heads.estimators",
    "PostHocLogitAdjustment": "eos.heads.estimators",
    "RBO": "eos.samplers.rbo",
    "SWIM": "eos.samplers.swim",
    "TailCalib": "eos.samplers.tailcalib",
    "TauNormalized": "eos.heads.estimators",
    "generalization_gap": "eos.metrics.gap",
    "load": "eos.classifier.classifier",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'eos' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
