"""Train a small residual net on handwritten digits, with the doctor beside it.

Run: python examples/resnet_like.py [--fault small-init | step] [--steps 200]

The digits are scikit-learn's. `small-init` draws every weight with standard deviation 1e-4, and
leaves batch normalisation out, which would make up for it; `step` takes steps three times as large
as the largest that trains. What chymist needs is marked.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import chymist  # chymist

CHANNELS, BATCH = 12, 64


class BasicBlock(nn.Module):
    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.bn2 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(x + self.bn2(self.conv2(out)))


class ResNet(nn.Module):
    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, padding=1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(CHANNELS) if norm else nn.Identity()
        self.layer1, self.layer2 = BasicBlock(CHANNELS, norm), BasicBlock(CHANNELS, norm)
        self.relu, self.fc = nn.ReLU(), nn.Linear(CHANNELS, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def main(words: list[str] | None = None) -> tuple[chymist.Checkup, chymist.Checkup]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fault", choices=["none", "small-init", "step"], default="none")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    torch.manual_seed(given.seed)

    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32).view(-1, 1, 8, 8)
    pixels, classes = (pixels - pixels.mean()) / pixels.std(), torch.tensor(digits.target)
    train, test = slice(0, 1400), slice(1400, None)

    model = ResNet(norm=given.fault != "small-init")
    if given.fault == "small-init":
        for weight in model.parameters():
            nn.init.normal_(weight, std=1e-4)
    criterion = nn.CrossEntropyLoss()
    lr = 3 * LARGEST if given.fault == "step" else 0.05
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    batches = torch.randint(1400, (given.steps + 1, BATCH))

    first = pixels[train][batches[-1]], classes[train][batches[-1]]
    before = chymist.preflight(model, criterion, first, optimizer)  # chymist
    print(before)
    model.train()
    with chymist.watch(model, criterion, optimizer) as watched:  # chymist
        for step in range(given.steps):
            inputs, targets = pixels[train][batches[step]], classes[train][batches[step]]
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            loss.backward()
            optimizer.step()
            if step % 50 == 0 or step == given.steps - 1:
                print(f"step {step}: loss {loss.item():.3f}")
    print(watched.checkup)

    model.eval()
    with torch.no_grad():
        right = (model(pixels[test]).argmax(1) == classes[test]).float().mean()
    print(f"accuracy on the digits that were kept back: {right:.3f}")
    return before, watched.checkup


LARGEST = 1.0
"""The largest step size that trains."""

if __name__ == "__main__":
    main()
