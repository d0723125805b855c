"""Settings of the whole suite, and the device it runs on: `EOS_TEST_DEVICE`, "cpu" (default) or "cuda"."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The arrays of the tests are small: more threads only wait for each other, on a busy machine for minutes.
# Set before NumPy or torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test depends on the clock. One health check does: how long it takes to make input.
settings.register_profile("clockless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clockless")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a device that there is not, before any test is looked for."""
    device = os.environ.get("EOS_TEST_DEVICE", "cpu")
    if device not in ("cpu", "cuda"):
        raise pytest.UsageError(f"EOS_TEST_DEVICE={device}: no device of the tests; set it to cpu or cuda")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise pytest.UsageError(
                "EOS_TEST_DEVICE=cuda: torch finds no GPU; unset it, or install a torch built for the GPU"
            )
        # By default cuDNN's float32 convolutions round their factors to TF32, 10 bits. Comparisons with a CPU
        # would need a tolerance of about 1e-2, in which mistakes hide.
        torch.backends.cudnn.allow_tf32 = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on a GPU what is about the CPU; put the files that take minutes first."""
    from tests.helpers import DEVICE

    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)

    for item in items:
        marker = item.get_closest_marker("cpu_only")
        if marker is not None and DEVICE == "cuda":
            item.add_marker(pytest.mark.skip(reason=f"about the CPU: {marker.kwargs['reason']}"))
