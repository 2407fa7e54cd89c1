"""The workloads in JAX, as a user of JAX would write them: vmap, jit, scan; optax's Adam."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import optax
from workloads import Transformer, Workload

SCANNED = 10
"""Steps in one compiled program."""


@cache
def jax_program(work: Workload, lanes: int) -> Callable[[int], None]:
    network = work.build()
    forward = _FORWARD[type(network).__name__]
    start = {n: jnp.asarray(p.detach().numpy()) for n, p in network.named_parameters()}
    optimizer = optax.adam(1e-3)
    x, y = jnp.asarray(work.x, jnp.float32), jnp.asarray(work.y, jnp.float32)

    def loss(parameters: Any, rows: Any) -> Any:
        out, target = forward(parameters, x[rows]), y[rows]
        if work.loss.__name__ == "squared":
            return ((out - target) ** 2).mean()
        return -(target * jax.nn.log_softmax(out)).sum(-1).mean()

    def one(state: Any, key: Any) -> Any:
        parameters, moments = state
        rows = jnp.arange(len(x))
        if work.batch:
            # Independent draws: cheaper for JAX than every network's own permutation.
            rows = jax.random.randint(key, (work.batch,), 0, len(x))
        gradients = jax.grad(loss)(parameters, rows)
        updates, moments = optimizer.update(gradients, moments)
        return optax.apply_updates(parameters, updates), moments

    @jax.jit
    def several(state: Any, key: Any) -> Any:
        def step(state: Any, key: Any) -> Any:
            return jax.vmap(one)(state, jax.random.split(key, lanes)), None

        return jax.lax.scan(step, state, jax.random.split(key, SCANNED))[0]

    stacked = jax.tree.map(lambda p: jnp.repeat(p[None], lanes, 0), start)
    fresh = (stacked, jax.vmap(optimizer.init)(stacked))

    def run(steps: int) -> None:
        state = fresh
        for number in range(max(1, round(steps / SCANNED))):
            state = several(state, jax.random.key(number))
        jax.block_until_ready(state)

    return run


def _linear(p: Any, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _dense(p: Any, x: Any) -> Any:
    names = sorted({n.split(".")[0] for n in p}, key=int)
    for name in names[:-1]:
        x = jnp.tanh(_linear(p, name, x))
    return _linear(p, names[-1], x)


def _convolutional(p: Any, x: Any) -> Any:
    x = x.reshape(-1, 1, 8, 8)
    for name in ("first", "second"):
        x = jax.lax.conv_general_dilated(x, p[f"{name}.weight"], (1, 1), "SAME")
        x = jax.nn.relu(x + p[f"{name}.bias"][:, None, None])
    return _linear(p, "last", x.reshape(len(x), -1))


def _norm(p: Any, name: str, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def _transformer(p: Any, x: Any) -> Any:
    tokens, heads, width = Transformer.TOKENS, Transformer.HEADS, Transformer.WIDTH
    h = _linear(p, "embed", x.reshape(-1, tokens, 4)) + p["place"]
    q, k, v = (
        part.reshape(-1, tokens, heads, width // heads).transpose(0, 2, 1, 3)
        for part in jnp.split(_linear(p, "qkv", _norm(p, "norm1", h)), 3, axis=-1)
    )
    weight = jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(width // heads), axis=-1)
    h = h + _linear(p, "out", (weight @ v).transpose(0, 2, 1, 3).reshape(-1, tokens, width))
    inner = jax.nn.gelu(_linear(p, "up", _norm(p, "norm2", h)), approximate=False)
    h = h + _linear(p, "down", inner)
    return _linear(p, "last", h.mean(1))


_FORWARD = {"Sequential": _dense, "Convolutional": _convolutional, "Transformer": _transformer}
