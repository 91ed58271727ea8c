"""Training steps in PyTorch, in a process without TensorFlow.

    python launch/benchmark/torch_steps.py PROBLEM.npz GRADIENT.npy

`torch_peer.py` starts this script. The first file has the weights and the
batches; the second one gets the gradient of T. Then the script takes one step
for each line of its input, which names the step, and answers with a line.

Meta Loss Correction is written as in the paper's Algorithm 1, with PyTorch's
double backward pass (`create_graph`).
"""

import sys
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

# The rates of `step.VARIANTS` and of the optimizer there.
_META_RATE, _RATE, _MOMENTUM = 1.0, 1e-4, 0.9


class Convolution(nn.Conv2d):
    """A convolution with the padding "same" of Keras, and without a bias."""

    def __init__(self, into: int, out: int, size: int, stride: int) -> None:
        self.even = size == 3 and stride == 2
        padding = 0 if self.even else size // 2
        super().__init__(into, out, size, stride, padding, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.even:
            x = nn.functional.pad(x, (0, 1, 0, 1))
        return super().forward(x)


class LeNet(nn.Module):
    """`mlc_tf.networks.lenet` for images of 28 by 28."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5, padding=2)
        self.second = nn.Conv2d(6, 16, 5)
        self.dense = nn.ModuleList([nn.Linear(400, 120), nn.Linear(120, 84)])
        self.last = nn.Linear(84, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for convolution in (self.first, self.second):
            x = nn.functional.max_pool2d(torch.relu(convolution(x)), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # as Keras, channels last
        for dense in self.dense:
            x = torch.relu(dense(x))
        return self.last(x)


class Block(nn.Module):
    """A block of a wide residual network."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.before = nn.BatchNorm2d(into)
        self.shortcut = (
            Convolution(into, out, 1, stride)
            if into != out or stride != 1
            else None
        )
        self.first = Convolution(into, out, 3, stride)
        self.between = nn.BatchNorm2d(out)
        self.second = Convolution(out, out, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = torch.relu(self.before(x))
        if self.shortcut is not None:
            x = self.shortcut(activated)
        y = torch.relu(self.between(self.first(activated)))
        return x + self.second(y)


class WideResNet(nn.Module):
    """`mlc_tf.networks.wide_resnet`."""

    def __init__(self, classes: int, depth: int, width: int) -> None:
        super().__init__()
        self.stem = Convolution(3, 16, 3, 1)
        blocks, into = [], 16
        for stage, filters in enumerate((16, 32, 64)):
            for index in range((depth - 4) // 6):
                stride = 2 if stage and not index else 1
                blocks.append(Block(into, filters * width, stride))
                into = filters * width
        self.blocks = nn.Sequential(*blocks)
        self.after = nn.BatchNorm2d(into)
        self.last = nn.Linear(into, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.after(self.blocks(self.stem(x))))
        return self.last(x.mean(dim=(2, 3)))


def build(problem: Mapping[str, np.ndarray]) -> nn.Module:
    """Returns the network of a problem, with its weights.

    Args:
        problem: `network`, the name in Keras ("lenet" or "wrn_DEPTH_WIDTH"),
            and `weights_KIND_LAYER_NUMBER`, where the layers of a kind are
            numbered in the order in which both networks create them.
    """
    classes = len(problem["transition"])
    name, *sizes = str(problem["network"]).split("_")
    net = (
        LeNet(classes)
        if name == "lenet"
        else WideResNet(classes, *map(int, sizes))
    )
    kinds = {
        "Conv2D": nn.Conv2d,
        "BatchNormalization": nn.BatchNorm2d,
        "Dense": nn.Linear,
    }
    with torch.no_grad():
        for kind, peer in kinds.items():
            modules = [part for part in net.modules() if isinstance(part, peer)]
            for number, module in enumerate(modules):
                _fill(module, problem, f"weights_{kind}_{number}")
    return net


def _fill(
    module: nn.Module, problem: Mapping[str, np.ndarray], prefix: str
) -> None:
    names = ("weight", "bias", "running_mean", "running_var")
    for number, name in enumerate(names):
        target = getattr(module, name, None)
        if target is None:
            continue
        weight = problem[f"{prefix}_{number}"]
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[weight.ndim]
        target.copy_(torch.from_numpy(weight.transpose(axes).copy()))
    if isinstance(module, nn.BatchNorm2d):
        module.eps = float(problem["epsilon"])
        module.momentum = 1 - float(problem["momentum"])


def corrected(
    logits: torch.Tensor, labels: torch.Tensor, transition: torch.Tensor
) -> torch.Tensor:
    """Returns the mean loss that T corrects (Eq. 2, 3)."""
    noisy = torch.softmax(logits, dim=1) @ transition
    picked = noisy.gather(1, labels[:, None])[:, 0]
    return -picked.clamp(min=1e-6).log().mean()


def virtual(
    net: nn.Module,
    noisy: tuple[torch.Tensor, torch.Tensor],
    clean: tuple[torch.Tensor, torch.Tensor],
    transition: torch.Tensor,
    rate: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the logits of the noisy batch, and T's gradient (Eq. 4-8)."""
    (x, labels), (x_clean, clean_labels) = noisy, clean
    weights = dict(net.named_parameters())
    logits = net(x)
    gradients = torch.autograd.grad(
        corrected(logits, labels, transition),
        list(weights.values()),
        create_graph=True,
    )
    fast = {
        name: weight - rate * gradient
        for (name, weight), gradient in zip(weights.items(), gradients)
    }
    clean_logits = torch.func.functional_call(net, fast, (x_clean,))
    clean_loss = nn.functional.cross_entropy(clean_logits, clean_labels)
    (gradient,) = torch.autograd.grad(clean_loss, transition, retain_graph=True)
    return logits, gradient


def cross_entropy_step(net: nn.Module, noisy: Any) -> Callable[[], None]:
    """Returns the step of plain training."""
    optimizer = torch.optim.SGD(net.parameters(), _RATE, momentum=_MOMENTUM)
    x, labels = noisy

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device

    return step


def exact_step(
    net: nn.Module, noisy: Any, clean: Any, start: torch.Tensor, rate: float
) -> Callable[[], None]:
    """Returns the step of Meta Loss Correction."""
    optimizer = torch.optim.SGD(net.parameters(), _RATE, momentum=_MOMENTUM)
    transition = start

    def step() -> None:
        nonlocal transition
        logits, gradient = virtual(net, noisy, clean, transition, rate)
        moved = (transition.detach() - _META_RATE * gradient).clamp(min=0.0)
        rows = moved.sum(dim=1, keepdim=True).clamp(min=1e-12)
        transition = (moved / rows).requires_grad_()
        optimizer.zero_grad(set_to_none=True)
        loss = corrected(logits, noisy[1], transition.detach())
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def main(problem_file: str, gradient_file: str) -> None:
    """Writes the gradient of T, and takes the steps that the input names."""
    with np.load(problem_file, allow_pickle=False) as archive:
        problem = dict(archive)
    device = str(problem["device"])

    def half(which: str) -> tuple[torch.Tensor, torch.Tensor]:
        x = np.moveaxis(problem[f"{which}_x"], -1, 1).copy()
        labels = torch.from_numpy(problem[f"{which}_labels"])
        return torch.from_numpy(x).to(device), labels.to(device)

    noisy, clean = half("noisy"), half("clean")
    start = torch.from_numpy(problem["transition"]).to(device).requires_grad_()
    rate = float(problem["virtual_rate"])
    net = build(problem).to(device)
    gradient = virtual(net, noisy, clean, start, rate)[1]
    np.save(gradient_file, gradient.cpu().numpy())
    steps = {
        "cross_entropy": cross_entropy_step(build(problem).to(device), noisy),
        "exact": exact_step(
            build(problem).to(device), noisy, clean, start, rate
        ),
    }
    print(torch.__version__, flush=True)
    for line in sys.stdin:
        steps[line.strip()]()
        print(flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
