"""Import torchvision, also beside a torch that was built without a GPU.

torchvision's wheels are built for CUDA. On import it registers implementations for two operators, `nms` and
`qnms`, whose schemas its compiled library defines; beside a CPU build of torch that library does not load,
and the import fails on the missing schemas. Nothing here uses them, so where the library cannot be loaded the
schemas are defined first.
"""

from importlib import import_module
from typing import Any

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_library: Any = None  # the definitions live as long as this object


def import_torchvision(module: str) -> Any:
    """Return a module of torchvision, such as "datasets"."""
    global _library  # noqa: PLW0603 - torch keeps one registry of operators per process
    try:
        return import_module(f"torchvision.{module}")
    except RuntimeError as error:
        if _library is not None or "torchvision::nms" not in str(error):
            raise
    import torch

    _library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS.values():
        _library.define(schema)
    return import_module(f"torchvision.{module}")
