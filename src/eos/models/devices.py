"""Where torch computes, in which precision, and how to make it repeat itself exactly."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from eos.errors import InputError, unknown_name


def pick_device(name: str) -> torch.device:
    """Return the device called "cpu" or "cuda"; for "auto" the GPU where there is one.

    Raises
    ------
    InputError
        If the name is another one, or "cuda" and there is no GPU that torch can use.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise unknown_name(name, ("auto", "cpu", "cuda"), what="device", place="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device 'cuda': torch finds no GPU; use 'cpu', or 'auto' to take a GPU where there is one"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":  # both are looked at when the GPU is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # so cuBLAS repeats its results
        os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")  # queues, one for each of many streams
    return torch.device(name)


#: What each precision computes in; float32 is torch's own and needs no change.
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_precision(name: str, device: torch.device) -> str:
    """Return "fp32", "bf16" or "fp16"; for "auto" bf16 where the device has units for it.

    Without them bfloat16 is emulated: slower than float32, and less exact.

    Raises
    ------
    InputError
        If the name is none of the four, or "fp16" and the device is no GPU.
    """
    if name not in ("auto", "fp32", *HALF):
        raise unknown_name(name, ("auto", "fp32", *HALF), what="precision", place="precision")
    if name == "fp16" and device.type != "cuda":
        raise InputError("precision 'fp16': only a GPU has units for it; use 'auto', 'bf16' or 'fp32'")
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = torch.cpu.get_capabilities()
        native = any(processor.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))
    return "bf16" if native else "fp32"


def repeated_precision(trained: str, device: torch.device) -> str:
    """Return the precision in which a device runs a network that was trained in `trained`.

    That is the same, but float32 where that was fp16 and the device is no GPU.
    """
    return "fp32" if trained == "fp16" and device.type != "cuda" else trained


def in_precision(precision: str, device: torch.device) -> torch.autocast:
    """Return a context in which torch computes in a precision that `pick_precision` returned."""
    # A cache of weights that were cast would outlive a captured step, and few weights are used twice.
    return torch.autocast(
        device.type, HALF.get(precision, torch.bfloat16), enabled=precision in HALF, cache_enabled=False
    )


def kept(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU; of a GPU's tensor one that is there once what was sent before it is done."""
    return tensor.detach().to("cpu", non_blocking=True) if tensor.is_cuda else tensor.detach().clone()


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device; a GPU goes on with what it has to do meanwhile."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def limit_threads(threads: int | None) -> None:
    """Let torch use this many threads of the CPU from now on; with None as many as it wants.

    The number changes the order of sums, and with it the last digits of every result.
    """
    if threads is not None:
        torch.set_num_threads(threads)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Within the block let torch use only operations that repeat exactly; on a GPU where there is a choice.

    On a CPU equal input and an equal number of threads then give equal bytes.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # its setting is a property that type checkers do not see
    fill = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Filling every new tensor guards against reading it before it is written, at a price; nothing here does.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill
