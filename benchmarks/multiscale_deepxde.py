"""Poisson's equation on a line by networks of several scales, beside DeepXDE's.

    python benchmarks/multiscale_deepxde.py --peer /path/to/python/of/an/environment/with/the/peer

The peer needs an environment of its own (`pip install deepxde==1.15.0` beside PyTorch); without
`--peer` only this code is timed. Two solutions, zero at the ends of [-1, 1]: sin 6 pi x, and the
peer's own example, sin pi (x + 1) + sin(25 pi (x + 1)) / 10. Both sides minimise the squared
residual by Adam at 1e-3 with the border met exactly, on as many points and for as many updates: the
peer a plain network, and one on Fourier features of scales 1 and 10 as its `MsFFN` has them (which
1.15.0 lacks for PyTorch), on points that stay; this code `MultiScale` networks of about as many
parameters, on fresh points. Seconds are of the
processor, one thread, without what comes before the first update; errors are relative L2 on 1001
points.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
PROBLEMS = {"sin 6 pi x": [[1.0, 6.0]], "two scales": [[1.0, 1.0], [0.1, 25.0]]}
"""Amplitudes and frequencies, in half-waves per unit."""
PEER = """
import json, os, sys, time
os.environ["DDE_BACKEND"] = "pytorch"
import numpy as np, torch
import deepxde as dde
torch.set_num_threads(1)
told = json.load(sys.stdin)
terms = told["terms"]
def u(x):
    return sum(a * np.sin(k * np.pi * (x + 1)) for a, k in terms)
def f(x):
    return sum(a * (k * np.pi) ** 2 * torch.sin(k * np.pi * (x + 1)) for a, k in terms)
found = {}
for name in ("plain", "features"):
    dde.config.set_random_seed(told["seed"])
    def residual(x, y):
        return -dde.grad.hessian(y, x) - f(x)
    data = dde.data.PDE(dde.geometry.Interval(-1, 1), residual, [], told["points"], 0,
                        train_distribution="uniform", num_test=1001, solution=u)
    sizes = [1, *told["layers"], 1]
    if name == "plain":
        net = dde.nn.FNN(sizes, "sin", "Glorot normal")
    else:
        half = told["layers"][0] // 4
        waves = torch.cat([s * torch.randn(1, half) for s in (1, 10)], 1) * 2 * np.pi
        net = dde.nn.FNN([4 * half, *told["layers"][1:], 1], "tanh", "Glorot normal")
        net.apply_feature_transform(
            lambda x: torch.cat([torch.cos(x @ waves), torch.sin(x @ waves)], 1))
    net.apply_output_transform(lambda x, y: (1 - x * x) * y)
    model = dde.Model(data, net)
    model.compile("adam", lr=told["lr"])
    model.train(iterations=1, display_every=10**9, verbose=0)
    began = time.process_time()
    model.train(iterations=told["steps"], display_every=10**9, verbose=0)
    seconds = time.process_time() - began
    x = np.linspace(-1, 1, 1001)[:, None]
    error = np.linalg.norm(model.predict(x) - u(x)) / np.linalg.norm(u(x))
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    found[name] = [count, told["steps"] / seconds, float(error)]
print("\\n" + json.dumps(found))
"""


def ours(terms: list[list[float]], told: dict, seeds: int) -> tuple[int, float, list[float]]:
    """Return parameters, updates a second of all networks together, and each one's error."""
    import numpy as np
    import xarray as xr

    from chymist import data, instruments, models, solvers
    from chymist.bench import Bench, samples

    def u(x: np.ndarray) -> np.ndarray:
        return sum(a * np.sin(k * np.pi * (x[:, 0] + 1)) for a, k in terms)

    def f(x: np.ndarray) -> np.ndarray:
        return sum(a * (k * np.pi) ** 2 * np.sin(k * np.pi * (x[:, 0] + 1)) for a, k in terms)

    problem = data.Equation("line", data.box(1), 0.0, f, u)
    bench = Bench("benchmark", "deepxde", tuple(range(seeds)))
    keys = [bench.key(s, "points").numpy() for s in bench.seeds]
    x, y = data.equation_samples(
        problem, keys, list(bench.seeds), inside=told["points"], border=2, sets=16
    )
    networks = bench.networks(
        lambda: models.WithDerivatives(
            models.BoxAnsatz(
                models.MultiScale(
                    lambda: models.MLP(1, *told["parts"], 1, activation="sin"),
                    models.geometric_scales(6, 64.0),
                )
            )
        ),
        models.glorot_normal_start,
    )
    fine = np.linspace(-1, 1, 1001)[:, None]
    record = instruments.relative_distance(samples(fine), xr.DataArray(u(fine), dims="sample"))

    def train(steps: int) -> list[float]:
        error = bench.train(
            networks, solvers.Adam(told["lr"]), x, y, steps=steps, loss=models.strong_residual,
            batch=told["points"] + 2, shuffle=False, record={record: lambda n: [n]},
        ).data.error  # fmt: skip
        return error.isel(step=-1).values.tolist()

    train(1)
    began = time.process_time()
    errors = train(told["steps"])
    seconds = time.process_time() - began
    count = sum(w[0].numel() for w in networks.parameters.values())
    return count, seeds * told["steps"] / seconds, errors


def main() -> None:
    """Print parameters, updates a second of the processor, and errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="Python of an environment that has DeepXDE")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    told = {"steps": given.steps, "points": 200, "lr": 1e-3, "seed": 0,
            "layers": [42, 42, 42], "parts": [16, 16, 16]}  # fmt: skip
    for name, terms in PROBLEMS.items():
        print(f"{name}, {given.steps} updates")
        count, speed, errors = ours(terms, told, given.seeds)
        shown = " ".join(f"{e:.2g}" for e in errors)
        print(f"  scales, {given.seeds} seeds   {count} parameters  {speed:7.0f} /s  {shown}")
        if given.peer:
            done = subprocess.run(
                [given.peer, "-c", PEER], input=json.dumps({**told, "terms": terms}),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"the peer failed: {done.stderr.splitlines()[-1]}")
            for kind, (size, pace, error) in json.loads(done.stdout.splitlines()[-1]).items():
                print(f"  DeepXDE {kind:8} {size} parameters  {pace:7.0f} /s  {error:.2g}")


if __name__ == "__main__":
    main()
