"""Strangers of the second set that look at pictures, as tutorials and notebooks write them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import Any

import torch
from case import LARGE_STEP, Case, Training
from second_data import chance, clouds, digits, flower, patches, shapes, shuffled
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.checkpoint import checkpoint

cross = nn.CrossEntropyLoss()


# --- Nets --------------------------------------------------------------------------------------


class LeNet(nn.Module):
    """Two convolutions with batch norm, pooling, dropout, and a head."""

    def __init__(self, ends: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(64, 10)
        self.ends = ends or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        return self.ends(self.fc2(x))


class Block(nn.Module):
    """A residual block: conv, norm, relu, conv, norm, plus the input."""

    def __init__(self, width: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(out)))


def no_norm(width: int) -> nn.Module:
    return nn.Identity()


def groups(width: int) -> nn.Module:
    return nn.GroupNorm(4, width)


def resnet(blocks: int = 3, width: int = 16, norm: Any = nn.BatchNorm2d) -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), norm(width), nn.ReLU(),
        *(Block(width, norm) for _ in range(blocks)),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return net


def perceptron(
    sizes: tuple[int, ...] = (64, 128, 10), act: Callable[[], nn.Module] = nn.ReLU,
    drop: float = 0.0,
) -> nn.Sequential:  # fmt: skip
    layers: list[nn.Module] = [nn.Flatten()]
    for into, out in pairwise(sizes[:-1]):
        layers += [nn.Linear(into, out), act(), *([nn.Dropout(drop)] if drop else [])]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


class ViT(nn.Module):
    """Patches of 2 x 2, a class token, PyTorch's own encoder with the norm first."""

    def __init__(self, width: int = 48, depth: int = 3):
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, stride=2)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(0.02 * torch.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.encoder(x)[:, 0]))


class Mixer(nn.Module):
    """An MLP-mixer of two layers over the 16 patches."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, stride=2)
        self.tokens = nn.ModuleList(self.mlp(16, 32) for _ in range(2))
        self.channels = nn.ModuleList(self.mlp(width, 64) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.head = nn.Linear(width, 10)

    @staticmethod
    def mlp(width: int, inner: int) -> nn.Module:
        return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        for k in range(2):
            x = x + self.tokens[k](self.norms[2 * k](x).transpose(1, 2)).transpose(1, 2)
            x = x + self.channels[k](self.norms[2 * k + 1](x))
        return self.head(self.norms[4](x).mean(1))


class ConvNext(nn.Module):
    """Depthwise convolutions, layer norm, GELU, and the small layer scale of the paper."""

    def __init__(self, width: int = 32, blocks: int = 3):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 2, stride=2)
        self.depth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, groups=width)
                                   for _ in range(blocks))  # fmt: skip
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks + 1))
        self.mlps = nn.ModuleList(Mixer.mlp(width, 4 * width) for _ in range(blocks))
        self.scales = nn.ParameterList(torch.full((width,), 1e-2) for _ in range(blocks))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm, mlp, scale in zip(
            self.depth, self.norms, self.mlps, self.scales, strict=False
        ):
            x = x + (scale * mlp(norm(conv(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        return self.head(self.norms[-1](x.mean((2, 3))))


class UNet(nn.Module):
    """One step down and one up, with batch norm; `ends` is what the mask goes through."""

    def __init__(self, width: int = 8, ends: nn.Module | None = None):
        super().__init__()
        self.down = self.double(1, width)
        self.middle = self.double(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = self.double(2 * width, width)
        self.out = nn.Conv2d(width, 1, 1)
        self.ends = ends or nn.Identity()

    @staticmethod
    def double(into: int, out: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(x)
        deep = self.up(self.middle(F.max_pool2d(skip, 2)))
        return self.ends(self.out(self.last(torch.cat([skip, deep], 1))))


class Autoencoder(nn.Module):
    """A dense autoencoder with a code of 8; `cut` loses the encoder's graph."""

    def __init__(self, cut: bool = False):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.SiLU(), nn.Linear(48, 8))
        self.decoder = nn.Sequential(nn.Linear(8, 48), nn.SiLU(), nn.Linear(48, 64))
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        if self.cut:
            code = torch.tensor(code.detach().numpy())
        return self.decoder(code)


class Variational(nn.Module):
    """A variational autoencoder as in PyTorch's examples: returns picture, mean, log variance."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21 = nn.Linear(100, 6)
        self.fc22 = nn.Linear(100, 6)
        self.fc3 = nn.Linear(6, 100)
        self.fc4 = nn.Linear(100, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.fc1(x.flatten(1)))
        mean, log_var = self.fc21(h), self.fc22(h)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp() if self.training else mean
        return self.fc4(F.relu(self.fc3(z))), mean, log_var


def elbo(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    picture, mean, log_var = output
    told = F.binary_cross_entropy_with_logits(picture, x.flatten(1), reduction="sum")
    return (told - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()) / len(x)


class TwoHeads(nn.Module):
    """Which digit it is, and by how many quarters it was turned."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.LeakyReLU(), nn.Conv2d(16, 32, 3), nn.LeakyReLU(),
            nn.Flatten(), nn.Linear(32 * 16, 64), nn.LeakyReLU(),
        )  # fmt: skip
        self.digit = nn.Linear(64, 10)
        self.turn = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.digit(h), self.turn(h)


def both(output: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    return cross(output[0], target[0]) + 0.5 * cross(output[1], target[1])


class Autocast(nn.Module):
    """A net of which the forward pass is in bfloat16, the weights in float32."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out: Tensor = self.net(x)
        return out.float()


class Checkpointed(nn.Module):
    """Stages of a net whose activations are computed again on the way back."""

    def __init__(self, stages: list[nn.Module], head: nn.Module):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = checkpoint(stage, x, use_reentrant=False)
        return self.head(x)


class PointNet(nn.Module):
    """The same net for every point, the largest of each feature, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU(),
                                  nn.Linear(64, 128))  # fmt: skip
        self.head = nn.Sequential(nn.LayerNorm(128), nn.Linear(128, 64), nn.ReLU(),
                                  nn.Linear(64, 4))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.each(x).amax(1))


class Siren(nn.Module):
    """Sines of frequency 30 and the initialisation that goes with them."""

    def __init__(self, width: int = 64, omega: float = 30.0):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, width), nn.Linear(width, width),
                                     nn.Linear(width, width)])  # fmt: skip
        self.out = nn.Linear(width, 3)
        self.omega = omega
        with torch.no_grad():
            for k, layer in enumerate([*self.layers, self.out]):
                bound = 1 / 2 if k == 0 else (6 / width) ** 0.5 / omega
                layer.weight.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(self.omega * layer(x))
        return self.out(x)


class Fourier(nn.Module):
    """Random Fourier features of coordinates before a plain net."""

    def __init__(self, scale: float = 3.0):
        super().__init__()
        self.register_buffer("waves", scale * torch.randn(2, 64))
        self.net = nn.Sequential(nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(),
                                 nn.Linear(96, 3))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        phase = 2 * torch.pi * x @ self.waves
        return self.net(torch.cat([phase.sin(), phase.cos()], -1))


# --- Trainings ---------------------------------------------------------------------------------


def classes(
    net: nn.Module, optimizer: Callable[..., torch.optim.Optimizer], size: int = 64,
    loss: Callable[..., Tensor] = cross, scheduler: Callable[..., Any] | None = None,
    clip: float | None = None, data: Any = None,
) -> Training:  # fmt: skip
    """Return a training on the digits with values around zero, or on other data."""
    if data is None:
        x, y = digits()
        data = ((x - 0.5) / 0.5, y)
    steps = optimizer(p for p in net.parameters() if p.requires_grad)
    return Training(net, loss, shuffled(data, size), steps, data, clip=clip,
                    scheduler=scheduler(steps) if scheduler else None)  # fmt: skip


def adam(lr: float = 1e-3, **more: Any) -> Callable[..., torch.optim.Optimizer]:
    return partial(torch.optim.Adam, lr=lr, **more)


def adamw(lr: float = 1e-3, **more: Any) -> Callable[..., torch.optim.Optimizer]:
    return partial(torch.optim.AdamW, lr=lr, **more)


def sgd(lr: float = 0.05, momentum: float = 0.9, **more: Any) -> Callable[..., Any]:
    return partial(torch.optim.SGD, lr=lr, momentum=momentum, **more)


def lenet() -> Training:
    return classes(LeNet(), adam())


def lenet_sgd(
    lr: float = 0.02, clip: float | None = 1.0, decay: float = 1.0, ends: nn.Module | None = None
) -> Training:
    net = LeNet(ends)
    return classes(net, sgd(lr), 32, clip=clip,
                   scheduler=partial(lr_scheduler.ExponentialLR, gamma=decay))  # fmt: skip


def shuffled_labels() -> Training:
    """The pictures were shuffled and the labels were not."""
    x, y = digits()
    mixed = ((x[torch.randperm(len(x), generator=chance(20))] - 0.5) / 0.5, y)
    return classes(LeNet(), adam(), data=mixed)


def dense(
    act: Callable[[], nn.Module] = nn.ReLU, start: Callable[[nn.Module], None] | None = None,
    optimizer: Any = None, depth: int = 1, drop: float = 0.2, width: int = 128,
) -> Training:  # fmt: skip
    net = perceptron((64, *(width,) * depth, 10), act, drop)
    if start:
        net.apply(start)
    return classes(net, optimizer or partial(torch.optim.RMSprop, lr=1e-3))


def started(fill: Callable[[Tensor], Tensor]) -> Callable[[nn.Module], None]:
    """Return what fills the weights of linear layers and sets their biases to zero."""

    def start(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            fill(module.weight)
            nn.init.zeros_(module.bias)

    return start


start_small = started(partial(nn.init.normal_, mean=0, std=0.01))
start_zero = started(nn.init.zeros_)
start_xavier = started(nn.init.xavier_uniform_)
start_kaiming = started(nn.init.kaiming_normal_)
start_orthogonal = started(nn.init.orthogonal_)


def start_negative(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.constant_(module.bias, -2.0 if module.out_features != 10 else 0.0)


class Steep(nn.Module):
    """A tanh made steep, as a smooth stand-in for a sign."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(20 * x)


def one_cycle(peak: float = 0.1, decay: float = 5e-4, steps: int = 150) -> Training:
    return classes(resnet(), sgd(peak / 25, nesterov=True, weight_decay=decay),
                   scheduler=partial(lr_scheduler.OneCycleLR, max_lr=peak, total_steps=steps + 1),
                   )  # fmt: skip


def small_batch(size: int = 4, lr: float = 0.01) -> Training:
    return classes(resnet(2, norm=groups), sgd(lr), size)


def no_norm_resnet(blocks: int = 12, tame: bool = True) -> Training:
    """Without norms; tame if the blocks' last convolution starts at zero, as Fixup has it."""
    net = resnet(blocks, norm=no_norm)
    for module in net.modules():
        if isinstance(module, Block) and tame:
            nn.init.zeros_(module.conv2.weight)
    return classes(net, adam(2e-3))


def frozen_statistics(held: bool) -> Training:
    """A deep net with batch norm from scratch; held if `.eval()` was left on."""
    training = classes(resnet(8), sgd(0.02))
    if held:
        training.model.eval()
    return training


def vit(lr: float = 2e-3) -> Training:
    return classes(ViT(), adamw(lr, weight_decay=0.05), scheduler=partial(warm, 20, 250))


def warm(rise: int, steps: int, optimizer: torch.optim.Optimizer) -> Any:
    """A linear warm-up and a cosine, put in sequence as PyTorch has it."""
    up = lr_scheduler.LinearLR(optimizer, 0.05, total_iters=rise)
    down = lr_scheduler.CosineAnnealingLR(optimizer, steps - rise)
    return lr_scheduler.SequentialLR(optimizer, [up, down], [rise])


def long_warm_up(whole: bool) -> Training:
    """A warm-up of 200 steps; by whole numbers the factor stays 0 until its end."""
    rise: Callable[[int], float] = (
        (lambda step: min(1, (step + 1) // 200)) if whole
        else (lambda step: min(1.0, (step + 1) / 200))
    )  # fmt: skip
    return classes(Mixer(), adamw(2e-3), scheduler=partial(lr_scheduler.LambdaLR, lr_lambda=rise))


def segmentation(ends: nn.Module | None = None) -> Training:
    data = shapes()
    net = UNet(ends=ends)
    return Training(net, nn.BCEWithLogitsLoss(), shuffled(data, 16),
                    torch.optim.Adam(net.parameters(), 3e-3), data)  # fmt: skip


def dice() -> Training:
    def loss(output: Tensor, mask: Tensor) -> Tensor:
        p = torch.sigmoid(output)
        overlap = (2 * (p * mask).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + 1)
        return F.binary_cross_entropy_with_logits(output, mask) + (1 - overlap).mean()

    training = segmentation()
    training.loss = loss
    return training


def autoencoder(cut: bool = False) -> Training:
    x, _ = digits()
    net = Autoencoder(cut)
    data = (x, x.flatten(1))
    return Training(net, nn.MSELoss(), shuffled(data, 64),
                    torch.optim.NAdam(net.parameters(), 4e-3), data, unit=0.0924)  # fmt: skip


def variational() -> Training:
    x, _ = digits()
    net = Variational()
    return Training(net, elbo, shuffled((x, x), 100), torch.optim.Adam(net.parameters(), 5e-3),
                    (x, x))  # fmt: skip


def contrastive() -> Training:
    """Supervised contrast of unit vectors at temperature 0.2."""

    def loss(output: Tensor, y: Tensor) -> Tensor:
        z = F.normalize(output, dim=1)
        logits = (z @ z.T / 0.2).fill_diagonal_(-1e4)
        same = (y[:, None] == y[None]).float().fill_diagonal_(0)
        return -(same * logits.log_softmax(1)).sum() / same.sum()

    x, y = digits()
    training = classes(perceptron((64, 128, 128, 16)), adamw(2e-3), 96, loss)
    training.whole = ((x[:400] - 0.5) / 0.5, y[:400])
    return training


def triplet(safe: bool = True) -> Training:
    """All triplets of a batch; unsafe takes the square root of distances that may be zero."""

    def loss(output: Tensor, y: Tensor) -> Tensor:
        square = ((output[:, None] - output[None]) ** 2).sum(-1)
        far = (square + 1e-8).sqrt() if safe else square.sqrt()
        same = y[:, None] == y[None]
        counted = same[:, :, None] & ~same[:, None, :]
        return F.relu(far[:, :, None] - far[:, None, :] + 1)[counted].mean()

    x, y = digits()
    net = nn.Sequential(perceptron((64, 128, 16)), nn.LayerNorm(16, elementwise_affine=False))
    training = classes(net, adam(1e-3), 32, loss)
    training.whole = ((x[:100] - 0.5) / 0.5, y[:100])
    return training


@cache
def teacher() -> tuple[nn.Module, Tensor]:
    """Return a net trained on the digits 0 to 4, and what one trained on all says of each."""
    x, y = digits()
    x = (x - 0.5) / 0.5
    nets = []
    with torch.random.fork_rng():
        torch.manual_seed(100)
        for part in (y < 5, y < 10):
            net = perceptron((64, 96, 96, 10))
            steps = torch.optim.Adam(net.parameters(), 2e-3)
            for batch in torch.randint(int(part.sum()), (250, 64), generator=chance(21)):
                steps.zero_grad()
                cross(net(x[part][batch]), y[part][batch]).backward()
                steps.step()
            nets.append(net.requires_grad_(False))
    return nets[0], nets[1](x)


def distilled() -> Training:
    """A student of 32 units learns a teacher's soft answers at temperature 3 and the labels."""

    def loss(output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        soft = F.kl_div(F.log_softmax(output / 3, 1), F.softmax(target[0] / 3, 1),
                        reduction="batchmean")  # fmt: skip
        return 9 * 0.5 * soft + 0.5 * cross(output, target[1])

    x, y = digits()
    data = ((x - 0.5) / 0.5, (teacher()[1], y))
    return classes(perceptron((64, 32, 10)), adam(5e-3), loss=loss, data=data)


def later_digits() -> tuple[Tensor, Tensor]:
    x, y = digits()
    return (x[y > 4] - 0.5) / 0.5, y[y > 4] - 5


def transferred(frozen: bool = True, forgotten: bool = False, lr: float = 5e-3) -> Training:
    """From 0-4 to 5-9 with a new head; forgotten if the optimizer was made before the head."""
    net = copy.deepcopy(teacher()[0]).requires_grad_(True)
    if frozen:
        net.requires_grad_(False)
    old = net[-1].requires_grad_(True)
    if not forgotten:
        net[-1] = nn.Linear(96, 5)
    training = classes(net, adam(lr), 32, data=later_digits())
    if forgotten:
        assert isinstance(net, nn.Sequential) and old is net[-1]
        net[-1] = nn.Linear(96, 5)
    return training


def fine_tuned(lr: float = 1e-3) -> Training:
    """All layers of a trained net go on learning, the new head ten times faster."""
    net = copy.deepcopy(teacher()[0]).requires_grad_(True)
    net[-1] = nn.Linear(96, 5)
    body = [p for n, p in net.named_parameters() if not n.startswith("5")]
    training = classes(net, adam(lr), 32, data=later_digits())
    training.optimizer = torch.optim.AdamW(
        [{"params": body, "lr": lr}, {"params": net[-1].parameters(), "lr": max(lr, 1e-2)}]
    )
    return training


def noisy_labels() -> Training:
    x, y = digits()
    wrong = torch.rand(len(y), generator=chance(22)) < 0.2
    mixed = torch.where(wrong, torch.randint(10, y.shape, generator=chance(23)), y)
    training = classes(perceptron((64, 128, 10), nn.ELU, 0.3), adamw(2e-3, weight_decay=0.05),
                       loss=nn.CrossEntropyLoss(label_smoothing=0.1),
                       data=((x - 0.5) / 0.5, mixed))  # fmt: skip
    training.whole = ((x - 0.5) / 0.5, y)
    return training


def long_tail() -> Training:
    """Few of the higher digits, and weights of the classes that make up for it."""
    x, y = digits()
    kept = torch.rand(len(y), generator=chance(24)) < 0.6 ** y.float()
    data = ((x[kept] - 0.5) / 0.5, y[kept])
    count = torch.bincount(data[1]).float()
    return classes(LeNet(), adam(2e-3), 32, nn.CrossEntropyLoss(weight=count.mean() / count),
                   data=data)  # fmt: skip


def multi_task() -> Training:
    x, y = digits()
    turns = torch.randint(4, (len(y),), generator=chance(25))
    turned = torch.stack([a.rot90(int(k), (1, 2)) for a, k in zip(x, turns, strict=True)])
    data = ((turned - 0.5) / 0.5, (y, turns))
    return classes(TwoHeads(), partial(torch.optim.RAdam, lr=3e-3), loss=both, data=data)


def half_precision() -> Training:
    net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
                        nn.Flatten(), nn.Linear(512, 10))  # fmt: skip
    return classes(Autocast(net), adamw(2e-3), 128)


def pure_half(whole: bool) -> Training:
    """Weights in bfloat16 and a fine step, which rounding loses; or in float32."""
    x, y = digits()
    x = (x - 0.5) / 0.5
    net = perceptron((64, 128, 128, 10), nn.SiLU)
    kind = torch.float32 if whole else torch.bfloat16
    return classes(net.to(kind), adam(1e-4), 64, lambda o, t: cross(o.float(), t),
                   data=(x.to(kind), y))  # fmt: skip


def checkpointed() -> Training:
    stages: list[nn.Module] = [nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.SiLU())]
    stages += [Block(16, groups) for _ in range(3)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    return classes(Checkpointed(stages, head), adam(2e-3))


def weight_normed() -> Training:
    norm = nn.utils.parametrizations.weight_norm
    net = nn.Sequential(
        norm(nn.Conv2d(1, 16, 3)), nn.ELU(), norm(nn.Conv2d(16, 32, 3)), nn.ELU(),
        nn.Flatten(), norm(nn.Linear(512, 64)), nn.ELU(), nn.Linear(64, 10),
    )  # fmt: skip
    return classes(net, partial(torch.optim.Adamax, lr=3e-3))


def spectral_critic() -> Training:
    """A critic of unit Lipschitz constant tells digits from digits with shuffled pixels."""
    norm = nn.utils.parametrizations.spectral_norm
    x, _ = digits()
    fake = x.flatten(1)[:, torch.randperm(64, generator=chance(26))].view_as(x)
    data = (torch.cat([x, fake]), torch.tensor([1.0, -1.0]).repeat_interleave(len(x))[:, None])
    net = nn.Sequential(
        nn.Flatten(),
        norm(nn.Linear(64, 64)),
        nn.LeakyReLU(0.2),
        norm(nn.Linear(64, 64)),
        nn.LeakyReLU(0.2),
        norm(nn.Linear(64, 1)),
    )
    return classes(net, partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.9)), 64,
                   lambda o, t: F.relu(1 - t * o).mean(), data=data)  # fmt: skip


def self_normalising() -> Training:
    net = perceptron((64, 64, 64, 64, 10), nn.SELU)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    return classes(net, partial(torch.optim.Adagrad, lr=0.02))


def convnext() -> Training:
    return classes(ConvNext(), adamw(4e-3, weight_decay=0.05))


def mixup() -> Training:
    """Pairs of pictures and of labels, as probabilities, in shares of a beta distribution."""
    x, y = digits()
    x = (x - 0.5) / 0.5
    hot = F.one_hot(y, 10).float()
    training = classes(perceptron((64, 128, 128, 10), nn.GELU), adamw(2e-3),
                       data=(x, hot))  # fmt: skip

    def batches() -> Any:
        share = torch.distributions.Beta(0.2, 0.2)
        for a, b in shuffled((x, hot), 64):
            s, order = share.sample(), torch.randperm(len(a))
            yield s * a + (1 - s) * a[order], s * b + (1 - s) * b[order]

    training.batches = batches()
    return training


def muon() -> Training:
    """Muon on a net of matrices alone."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 96, bias=False), nn.ReLU(),
                        nn.Linear(96, 96, bias=False), nn.ReLU(),
                        nn.Linear(96, 10, bias=False))  # fmt: skip
    return classes(net, partial(torch.optim.Muon, lr=0.02), 64)


def denoiser() -> Training:
    """The noise is told from the noisy patch, and is taken off it."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
                nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                nn.Conv2d(16, 1, 3, padding=1),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return x - self.net(x)

    net = Residual()
    data = patches()
    return Training(net, nn.MSELoss(), shuffled(data, 32), torch.optim.Adam(net.parameters(), 3e-3),
                    data, unit=0.01)  # fmt: skip


def point_clouds(lr: float = 2e-3) -> Training:
    return classes(PointNet(), adam(lr), 32, data=clouds())


def picture(kind: str) -> Training:
    """A photograph as a function of the place, learnt by a net of some kind."""
    place, colour = flower()
    net: nn.Module
    if kind == "plain":
        net = nn.Sequential(nn.Linear(2, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(),
                            nn.Linear(96, 3))  # fmt: skip
    elif kind == "fourier":
        net = Fourier()
    else:
        net = Siren()
        place = 255 * (place + 1) / 2 if kind == "pixels" else place
    data = (place, colour)
    lr = 1e-3 if kind in ("siren", "pixels") else 2e-3
    return Training(net, nn.MSELoss(), shuffled(data, 256), torch.optim.Adam(net.parameters(), lr),
                    data, unit=float(colour.var()))  # fmt: skip


LARGE = LARGE_STEP
SIX = (6, 0.0, 64)
"""Depth, dropout and width of a deep net."""
CASES: tuple[Case, ...] = (
    Case("second-lenet", lenet, level=0.3),
    Case("second-lenet-sgd-clip", lenet_sgd, level=0.3),
    Case("second-dense-rmsprop", dense, level=0.4),
    Case("second-dense-tanh-deep", partial(dense, nn.Tanh, start_xavier, adam(1e-3), *SIX),
         level=0.4),
    Case("second-dense-relu-deep", partial(dense, nn.ReLU, start_kaiming, adam(1e-3), *SIX),
         level=0.4),
    Case("second-dense-orthogonal", partial(dense, nn.Tanh, start_orthogonal, sgd(0.02), *SIX),
         level=0.4),
    Case("second-resnet-one-cycle", one_cycle, level=0.3),
    Case("second-resnet-eight", partial(frozen_statistics, False), level=0.3),
    Case("second-group-norm-of-four", small_batch, level=0.6, steps=300),
    Case("second-group-norm-of-two", partial(small_batch, 2, 0.005), level=1.0, steps=400),
    Case("second-resnet-zero-branches", no_norm_resnet, level=0.4),
    Case("second-vit", vit, level=0.6, steps=250),
    Case("second-mixer-warm-up", partial(long_warm_up, False), level=0.8),
    Case("second-convnext", convnext, level=0.8),
    Case("second-unet", segmentation, level=0.15),
    Case("second-unet-dice", dice, level=0.6),
    Case("second-autoencoder", autoencoder, level=0.4),
    Case("second-variational", variational, level=24.0, steps=400),
    Case("second-contrastive", contrastive, level=4.2),
    Case("second-triplet", triplet, level=0.3),
    Case("second-distilled", distilled, level=1.0),
    Case("second-frozen-backbone", transferred, level=1.0, steps=200),
    Case("second-fine-tuned", fine_tuned, level=0.3),
    Case("second-noisy-labels", noisy_labels, level=1.0, steps=200),
    Case("second-long-tail", long_tail, level=0.5),
    Case("second-multi-task", multi_task, level=1.0, steps=250),
    Case("second-autocast", half_precision, level=0.4),
    Case("second-float32-fine-step", partial(pure_half, True), level=1.2, steps=400),
    Case("second-checkpointed", checkpointed, level=0.4),
    Case("second-weight-norm", weight_normed, level=0.4),
    Case("second-spectral-critic", spectral_critic, level=0.4),
    Case("second-selu-adagrad", self_normalising, level=0.4),
    Case("second-mixup", mixup, level=0.5),
    Case("second-muon", muon, level=0.4),
    Case("second-denoiser", denoiser, level=0.6),
    Case("second-point-clouds", point_clouds, level=0.7),
    Case("second-siren", partial(picture, "siren"), level=0.2, steps=250),
    Case("second-fourier", partial(picture, "fourier"), level=0.2, steps=300),
    Case("second-softmax-in-lenet", partial(lenet_sgd, ends=nn.Softmax(dim=1)), ("softmax-twice",),
         "second-lenet-sgd-clip", hurts=2),
    Case("second-sigmoid-in-unet", partial(segmentation, nn.Sigmoid()), ("softmax-twice",),
         "second-unet", hurts=2),
    Case("second-labels-out-of-step", shuffled_labels, ("loss-course", "high-frequency"),
         "second-lenet", hurts=3),
    Case("second-step-of-sgd", partial(lenet_sgd, 0.5, None), LARGE, "second-lenet-sgd-clip",
         hurts=2),
    Case("second-clipped-far", partial(lenet_sgd, 0.02, 1e-3), ("clipped", "slow-descent",
         "small-step"), "second-lenet-sgd-clip", hurts=2),
    Case("second-decay-each-batch", partial(lenet_sgd, 0.02, 1.0, 0.9), ("slow-descent",
         "small-step", "unmoved"), "second-lenet-sgd-clip", hurts=2),
    Case("second-start-at-a-hundredth", partial(dense, nn.Tanh, start_small, adam(1e-3), *SIX),
         ("small-init", "vanishing-gradient"), "second-dense-tanh-deep", hurts=2),
    Case("second-deep-sigmoid", partial(dense, nn.Sigmoid, start_xavier, adam(1e-3), *SIX),
         ("vanishing-gradient", "rank-collapse"), "second-dense-tanh-deep", hurts=2),
    Case("second-steep-tanh", partial(dense, Steep, start_xavier, adam(1e-3), *SIX),
         ("saturated-units", "exploding-gradient"), "second-dense-tanh-deep", hurts=1.5),
    Case("second-biases-far-below", partial(dense, nn.ReLU, start_negative, adam(1e-3), *SIX),
         ("dead-units",), "second-dense-relu-deep", hurts=2),
    Case("second-one-cycle-too-high", partial(one_cycle, 3.0), ("unstable-steps", *LARGE,
         "loss-course"), "second-resnet-one-cycle", hurts=2),
    Case("second-one-cycle-decayed", partial(one_cycle, 0.1, 0.1), ("weight-decay",),
         "second-resnet-one-cycle", hurts=3),
    Case("second-all-zeros", partial(dense, nn.Tanh, start_zero, adam(1e-3), *SIX),
         ("symmetric-neurons", "no-gradient", "small-init"), "second-dense-tanh-deep", hurts=3),
    Case("second-left-in-eval", partial(frozen_statistics, True), ("batch-norm", "residual-growth",
         "exploding-signal"), "second-resnet-eight", hurts=1.5),
    Case("second-branches-at-full", partial(no_norm_resnet, 12, False), ("residual-growth",
         "exploding-signal"), "second-resnet-zero-branches", hurts=1.5),
    Case("second-vit-step", partial(vit, 0.1), LARGE, "second-vit", hurts=1.5, steps=250),
    Case("second-warm-up-of-zeros", partial(long_warm_up, True), ("unmoved", "small-step",
         "slow-descent"), "second-mixer-warm-up", hurts=2),
    Case("second-encoder-cut-off", partial(autoencoder, True), ("no-gradient",),
         "second-autoencoder", hurts=1.3),
    Case("second-root-of-zero", partial(triplet, False), ("non-finite", "divergence"),
         "second-triplet", hurts=2),
    Case("second-head-after-optimizer", partial(transferred, True, True), ("not-optimised",),
         "second-frozen-backbone", hurts=2, steps=200),
    Case("second-fine-tuned-rough", partial(fine_tuned, 0.1), ("large-updates", *LARGE),
         "second-fine-tuned", hurts=2),
    Case("second-all-in-bfloat16", partial(pure_half, False), ("unmoved", "slow-descent",
         "small-step"), "second-float32-fine-step", hurts=2, steps=400),
    Case("second-dying-cloud", partial(point_clouds, 0.05), ("dying-units", *LARGE),
         "second-point-clouds", hurts=1.5),
    Case("second-photograph-plain", partial(picture, "plain"), ("unlearnt-frequency",
         "high-frequency"), "second-fourier", hurts=2, steps=300),
    Case("second-places-in-pixels", partial(picture, "pixels"), ("input-scale",),
         "second-siren", hurts=1.5, steps=250),
)  # fmt: skip
