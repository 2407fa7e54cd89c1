"""Train a small GPT on characters, as nanoGPT does, with the doctor beside it.

Run: python examples/nanogpt_like.py [--fault forgotten-sqrt | step] [--steps 400]

The text is Python's own help. `forgotten-sqrt` leaves out attention's division by sqrt(d), and
`step` takes steps three times as large as the largest that trains. What chymist needs is marked.
"""

from __future__ import annotations

import argparse
import math
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import chymist  # chymist

CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 64, 64, 1, 2, 16


class Attention(nn.Module):
    def __init__(self, divide: bool) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.ones(CONTEXT, CONTEXT).triu(1).bool())
        self.divide = divide

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = (  # each (b, head, t, d)
            part.view(b, t, HEADS, -1).transpose(1, 2) for part in self.c_attn(x).split(WIDTH, -1)
        )
        att = q @ k.transpose(-2, -1)
        if self.divide:
            att = att / math.sqrt(k.shape[-1])
        att = att.masked_fill(self.mask[:t, :t], -math.inf).softmax(-1)
        return self.c_proj((att @ v).transpose(1, 2).reshape(b, t, WIDTH))


class Block(nn.Module):
    def __init__(self, divide: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = Attention(divide)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary: int, divide: bool = True) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.h = nn.Sequential(*(Block(divide) for _ in range(LAYERS)))
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wte(x) + self.wpe(torch.arange(x.shape[1], device=x.device))
        return self.lm_head(self.ln_f(self.h(x)))


def loss_of(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def main(words: list[str] | None = None) -> tuple[chymist.Checkup, chymist.Checkup]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fault", choices=["none", "forgotten-sqrt", "step"], default="none")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    torch.manual_seed(given.seed)

    text = "".join(topics[name] for name in sorted(topics))[:200_000]
    letters = {c: n for n, c in enumerate(sorted(set(text)))}
    data = torch.tensor([letters[c] for c in text])

    def get_batch() -> tuple[Tensor, Tensor]:
        place = torch.randint(len(data) - CONTEXT, (BATCH, 1)) + torch.arange(CONTEXT)
        return data[place], data[place + 1]

    model = GPT(len(letters), divide=given.fault != "forgotten-sqrt")
    lr = 3 * LARGEST if given.fault == "step" else 3e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95))

    before = chymist.preflight(model, loss_of, get_batch(), optimizer)  # chymist
    print(before)
    with chymist.watch(model, loss_of, optimizer) as watched:  # chymist
        for step in range(given.steps):
            x, y = get_batch()
            loss = loss_of(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 50 == 0 or step == given.steps - 1:
                print(f"step {step}: loss {loss.item():.3f}")
    print(watched.checkup)
    return before, watched.checkup


LARGEST = 0.02
"""The largest step size that trains: at twice as much the loss stays at that of letter pairs."""

if __name__ == "__main__":
    main()
