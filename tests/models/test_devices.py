"""Devices and precisions are picked by name, and torch is left as it was."""

import pytest
import torch

from eos.errors import InputError
from eos.models.devices import deterministic, pick_device, pick_precision, repeated_precision


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match=r"unknown device 'cdua'; did you mean 'cuda'\?"):
        pick_device("cdua")


def test_device_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match=r"'cuda': torch finds no GPU; use 'cpu'"):
        pick_device("cuda")


def test_deterministic_restores_torch() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory is True  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("units", "expected"), [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")]
)
def test_auto_precision_follows_the_processor(
    units: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert pick_precision("auto", torch.device("cpu")) == expected
    assert pick_precision("fp32", torch.device("cpu")) == "fp32"
    with pytest.raises(InputError, match=r"unknown precision 'fp8'"):
        pick_precision("fp8", torch.device("cpu"))
    with pytest.raises(InputError, match=r"precision 'fp16': only a GPU"):
        pick_precision("fp16", torch.device("cpu"))


def test_a_processor_runs_what_was_trained_in_fp16_in_float32() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [repeated_precision(name, cpu) for name in ("fp16", "bf16", "fp32")] == ["fp32", "bf16", "fp32"]
    assert [repeated_precision(name, gpu) for name in ("fp16", "bf16", "fp32")] == ["fp16", "bf16", "fp32"]
