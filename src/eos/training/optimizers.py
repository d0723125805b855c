"""Stochastic gradient descent and Adam: torch's own steps without its classes.

`torch.optim.SGD` and `torch.optim.Adam` import torch's compiler when they are built, 2.5 s of processor time
in every process that trains. The functions under them, which do the arithmetic, do not.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd


class SGD:
    """Stochastic gradient descent with momentum, as `torch.optim.SGD(..., fused=True)`, to the last bit.

    Attributes
    ----------
    weights : list of Tensor
        What is trained; each must get a gradient.
    learning_rate : float
        Of the next step.
    velocities : list of Tensor or None
        One per weight; None before the first step, and without momentum.
    """

    def __init__(
        self, weights: Iterable[Tensor], *, learning_rate: float, momentum: float, weight_decay: float
    ) -> None:
        self.weights = list(weights)
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocities: list[Tensor | None] = [None] * len(self.weights)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights against their gradients."""
        sgd(
            self.weights,
            _gradients(self.weights),
            self.velocities,
            fused=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.learning_rate,
            dampening=0,
            nesterov=False,
            maximize=False,
        )


class Adam:
    """Adam (Kingma & Ba 2015), as `torch.optim.Adam(..., fused=True)`, to the last bit.

    Attributes
    ----------
    weights : list of Tensor
        What is trained; each must get a gradient.
    means, squares, steps : list of Tensor
        One of each per weight: the running means of its gradient and of the square, and the steps taken.
    """

    def __init__(
        self, weights: Iterable[Tensor], *, learning_rate: float, betas: tuple[float, float]
    ) -> None:
        self.weights = list(weights)
        self.learning_rate = learning_rate
        self.betas = betas
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.steps = [torch.zeros((), device=weight.device) for weight in self.weights]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights against their gradients."""
        adam(
            self.weights,
            _gradients(self.weights),
            self.means,
            self.squares,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _gradients(weights: list[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]
