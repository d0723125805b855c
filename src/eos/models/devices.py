"""Where torch computes, in which precision, and how to make it repeat itself exactly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

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
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """Return "fp32" or "bf16"; for "auto" bf16 where the device has units for it.

    Without them bfloat16 is emulated: slower than float32, and less exact.

    Raises
    ------
    InputError
        If the name is none of the three.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise unknown_name(name, ("auto", "fp32", "bf16"), what="precision", place="precision")
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = torch.cpu.get_capabilities()
        native = any(processor.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))
    return "bf16" if native else "fp32"


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
