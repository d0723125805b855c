"""The same bytes on every x86-64 processor with AVX2: switches that the numerical libraries read.

Each library chooses its code by the processor, and sums in another order on another one. The switches hold
them to code that all these processors share, on one thread. They are read when a library is loaded or first
called, so they must be set before; docs/portability.md says what each does and how that was tested.
"""

import os
import platform
import sys
from pathlib import Path

SWITCHES = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",  # never in bfloat16
    "MKL_CBWR": "COMPATIBLE",  # torch's matrix products; the one mode that is the same on all vendors
    "OPENBLAS_CORETYPE": "Haswell",  # those of NumPy and SciPy
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's own loops
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# They would override a switch, may not stand beside one, or stop a library for a reason of their own.
CLEARED = (
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "MPLBACKEND",
    "NPY_ENABLE_CPU_FEATURES",
    "OPENBLAS_L2_SIZE",
    "SKLEARN_PAIRWISE_DIST_CHUNK_SIZE",
)
LIBRARIES = ("numpy", "scipy", "sklearn", "torch")


def hold_to_portable_code() -> None:
    """Set the switches for this process, whatever its environment says.

    Raises
    ------
    RuntimeError
        If one of the libraries is loaded already: the switches would come too late.
    """
    loaded = [name for name in LIBRARIES if name in sys.modules]
    if loaded:
        raise RuntimeError(f"the processor switches come too late: {', '.join(loaded)} is loaded already")
    for name in CLEARED:
        os.environ.pop(name, None)
    os.environ.update(SWITCHES)


def why_not_portable() -> str | None:
    """Return why this machine's results may differ in the last digits from those of others, or None."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return f"{platform.system()} on {platform.machine()} is not Linux on x86-64"
    found = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    missing = [feature.upper() for feature in ("avx2", "fma") if feature not in found]
    return f"this processor has no {' and no '.join(missing)}" if missing else None
