"""One step of SGD: sent to the device operation by operation, or captured as one CUDA graph.

On a GPU a step of a small network is some 500 kernels of a few microseconds; sending them one by one takes
several times as long as computing them. A captured step is the same step, recorded once for each size of
batch and sent as a whole.
"""

import contextlib
import gc
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eos.losses.base import Loss
from eos.models.devices import in_precision
from eos.models.network import Network
from eos.models.oltr import MetaEmbedding
from eos.training.config import TrainConfig

# Runs of a step before its capture, as PyTorch notes on CUDA graphs have it: libraries set themselves up.
WARM_UP = 3


class Step:
    """Forward, loss, backward, update.

    What it updates is the whole network; what it runs forward is `active`, of which `eos.training.stages` may
    make a part of it.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16"}
        Of the network's arithmetic. With fp16 the loss is scaled so that small gradients do not vanish, and a
        step whose gradients overflow is left out and lowers the scale. An overflow in the network itself
        makes the loss infinite, as a training that diverges does.
    """

    def __init__(
        self, network: Network, loss: Loss, config: TrainConfig, *, precision: str, device: torch.device
    ) -> None:
        self.network = network
        self.active = network
        self.loss = loss
        self.config = config
        self.precision = precision
        self.device = device
        groups: list[dict[str, Any]] = [
            {"params": weights, "part": part} for part, weights in _parts(network).items()
        ]
        if device.type == "cuda":  # a captured step reads its learning rates from the device
            for group in groups:
                group["lr"] = torch.tensor(config.learning_rate, device=device)
        self.optimizer = torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        if config.momentum:  # there before the first step, which fp16 may leave out
            for weight in network.parameters():
                self.optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        self.scaler = torch.amp.GradScaler(device.type, init_scale=1024.0, enabled=precision == "fp16")
        if self.scaler.is_enabled():
            self.scaler.scale(torch.ones((), device=device))  # makes the tensors of its state

    def set_learning_rate(self, rate: float, **parts: float) -> None:
        """Let the next steps have this rate, times the factor of a part that has one."""
        for group in self.optimizer.param_groups:
            own = rate * parts.get(group["part"], 1.0)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def forget_momentum(self) -> None:
        """Let the next step be as one of a new optimizer."""
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step; return the mean loss before it, and the class predicted of each image."""
        with in_precision(self.precision, self.device):
            outputs = self.active.outputs(inputs)
        loss = self.loss(outputs, targets)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach(), outputs.detach()[:, : self.loss.n_classes].argmax(dim=1)

    def state(self) -> dict[str, Tensor]:
        """Return, by name, the tensors that a step changes: themselves, not copies."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for number, weight in enumerate(self.network.parameters()):
            for name, value in self.optimizer.state[weight].items():
                tensors[f"optimizer.sgd.{number}.{name}"] = value
        if self.scaler.is_enabled():
            tensors["scaler.scale"] = self.scaler._scale
            tensors["scaler.growth"] = self.scaler._growth_tracker
        return tensors


def _parts(network: Network) -> dict[str, list[nn.Parameter]]:
    """Return the weights by parts that may have learning rates of their own."""
    backbone = network.backbone
    if not isinstance(backbone, MetaEmbedding):
        return {"all": list(network.parameters())}
    slow = [*backbone.trunk.parameters(), *backbone.attention.parameters()]
    known = {id(weight) for weight in (*slow, backbone.memory)}
    rest = [weight for weight in network.parameters() if id(weight) not in known]
    return {"backbone": slow, "memory": [backbone.memory], "rest": rest}


@dataclass(frozen=True)
class _Graph:
    graph: Any
    inputs: Tensor
    targets: Tensor
    loss: Tensor
    predicted: Tensor


class CapturedStep:
    """A step as CUDA graphs, one for each size of batch; where none can be captured, the step itself.

    What it returns is overwritten by the next call.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self._graphs: dict[int, _Graph] = {}
        self._phase: object = None
        self._possible = True

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Do what the step does."""
        if (phase := (id(self.step.active), phase_of(self.step.loss))) != self._phase:
            torch.cuda.synchronize()  # what was sent may still run
            self._graphs, self._phase = {}, phase
        if self._possible and len(inputs) not in self._graphs:
            self._capture(inputs, targets)
        if not self._possible:
            return self.step(inputs, targets)
        captured = self._graphs[len(inputs)]
        captured.inputs.copy_(inputs)
        captured.targets.copy_(targets)
        captured.graph.replay()
        return captured.loss, captured.predicted

    def _capture(self, inputs: Tensor, targets: Tensor) -> None:
        """Record the step on a batch, and put back what that changes."""
        inputs, targets = inputs.clone(), targets.clone()
        saved = {name: value.clone() for name, value in self.step.state().items()}
        stream, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
        pool = torch.cuda.graph_pool_handle()
        try:
            for _ in range(WARM_UP):
                self.step(inputs, targets)
            gc.collect()  # a graph that is collected while another is captured would end the capture
            with torch.cuda.graph(graph, pool=pool, stream=stream):
                loss, predicted = self.step(inputs, targets)
            self._graphs[len(inputs)] = _Graph(graph, inputs, targets, loss, predicted)
        except RuntimeError as error:
            self._possible = False
            self._failed = graph  # PyTorch's allocator still points at it
            with contextlib.suppress(RuntimeError):  # before 2.12 it is left open, for every later capture
                torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)
            reason = str(error).partition("\n")[0]
            warnings.warn(f"no CUDA graph, so steps are slower: {reason}", stacklevel=2)
        with torch.no_grad():
            for name, value in self.step.state().items():
                value.copy_(saved[name])


def phase_of(loss: Loss) -> object:
    """Return what tells one form of a loss from another: a captured step holds for one of them.

    These are the plain values among its attributes, which `begin_epoch` may change, and the places of its
    tensors.
    """
    plain = {
        name: value
        for name, value in vars(loss).items()
        if isinstance(value, bool | int | float | str | tuple | None) and name != "training"
    }
    tensors = {name: value.data_ptr() for name, value in (*loss.named_buffers(), *loss.named_parameters())}
    return plain, tensors
