"""Neurons drawn at random, as `barron-approximation` combines them: by their mean, or at best.

All errors are exact population errors on the sphere S^(d-1), d = `p.dimension`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import stats
from chymist.bench import Bench
from chymist.solvers.population import least_squares
from chymist.theory import barron, subspheres

RESOLVED = 4
"""Least degree m^(1/(d-1)) that m features must resolve for the power law to be looked for."""
LEAST = 64
"""Least number of features there: fewer are pre-asymptotic in every dimension."""


def means(p: Any, bench: Bench) -> xr.Dataset:
    """Errors of the mean of m neurons that are drawn as the target's own, for two targets.

    The target is the mean of relu(v . x) over v on a circle, or on the whole sphere. One-sided,
    only directions with v_1 > 0 are drawn.

    Returns:
        error (measure, m, seed), the mean of so many draws; constant (measure, seed), the mean of
        m times the error over m.
    """
    d, sizes = p.dimension, p.drawn.values
    measures = {"circle": 2, "sphere": d}
    errors = []
    for k in measures.values():
        total = subspheres.square(k, d)
        for seed in bench.seeds:
            generator = bench.key(seed, f"draws, k = {k}, d = {d}").numpy()
            found = np.zeros(len(sizes))
            for _ in range(p.draws):
                v = np.zeros((max(sizes), d))
                v[:, :k] = sphere(max(sizes), k, generator)
                if p.one_sided:
                    v[:, 0] = abs(v[:, 0])
                gram = barron.inner_product(v, v)
                # <f, relu(v .)> is |f|^2 for every v that is drawn.
                found += [gram[:m, :m].mean() / total - 1 for m in sizes]
            errors.append(found / p.draws)
    shape = (len(measures), len(bench.seeds), len(sizes))
    error = xr.DataArray(np.reshape(errors, shape), {
        "measure": list(measures), "seed": list(bench.seeds), "m": sizes,
    }, ("measure", "seed", "m"), attrs={"long_name": "error / |f|^2", "units": "1"})  # fmt: skip
    constant = (error * error.m).mean("m")
    constant.attrs = {"long_name": "error times m", "units": "1"}
    return xr.Dataset({"error": error, "constant": constant})


def monte_carlo(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return c/m and c."""
    c = [barron.monte_carlo_constant(k) for k in (2, p.dimension)]
    constant = xr.DataArray(c, {"measure": run.measure}, ("measure",))
    return xr.Dataset({"error": constant / run.m, "constant": constant})


def features(p: Any, bench: Bench) -> xr.Dataset:
    """Errors and kernel norms of the best combination of m fixed random neurons.

    A target with a kink of codimension k (one neuron for k = 1, the mean over a circle for k = 2)
    in a random place, or smooth; the mean over `targets` of them for the same features.

    Returns:
        error, norm (k, m, seed) with norm = m sum a^2; exponent, norm_exponent (k, seed): powers of
        m of both where m features resolve degree `RESOLVED`, NaN if fewer than three sizes do;
        drift (k, seed): by how much the exponent of the later half of these sizes is above that of
        the earlier; late (k, seed): the power of m of the error over the three largest sizes.
    """
    d, sizes = p.dimension, p.fixed.values
    errors, norms = [], []
    for seed in bench.seeds:
        generator = bench.key(seed, f"features, d = {d}").numpy()
        w = sphere(int(max(sizes)), d, generator)
        gram = barron.inner_product(w, w)
        kinks = p.codimension.values.tolist()
        drawn = [
            _targets(p, k, w, bench.key(seed, f"targets, k = {k}, d = {d}").numpy())
            for k in kinks if k <= d
        ]
        total = np.repeat([square for _, square in drawn], p.targets)
        found = least_squares(gram, np.hstack([i for i, _ in drawn]), total, sizes.tolist())
        # A kink of a higher codimension than there are dimensions stays missing.
        pair = np.full((2, len(kinks), len(sizes)), np.nan)
        for place, part in enumerate((found.error, found.squares * sizes[:, None] / total)):
            mean = part.reshape(len(sizes), len(drawn), p.targets).mean(2).T
            pair[place, np.array(kinks) <= d] = mean
        errors.append(pair[0])
        norms.append(pair[1])
        bench.progress("features", len(errors), len(bench.seeds))
    dims = ("seed", "k", "m")
    at = {"seed": list(bench.seeds), "k": p.codimension.values, "m": sizes}
    shape = (len(bench.seeds), p.codimension.size, len(sizes))
    run = xr.Dataset({
        "error": (dims, np.reshape(errors, shape), {"long_name": "error / |f|^2", "units": "1"}),
        "norm": (dims, np.reshape(norms, shape), {"long_name": "m sum a^2 / |f|^2", "units": "1"}),
    }, at)  # fmt: skip
    inside = run.sel(m=run.m[(run.m >= LEAST) & (run.m ** (1 / (d - 1)) >= RESOLVED - 1e-9)])
    for name, of, what in (("exponent", "error", stats.log_slope),
                           ("norm_exponent", "norm", stats.log_slope),
                           ("drift", "error", stats.slope_drift)):  # fmt: skip
        few = inside.sizes["m"] < 3
        power = run[of].isel(m=0, drop=True) * np.nan if few else what(inside[of], "m")
        run[name] = power.assign_attrs(long_name=f"{name.replace('_', ' ')} over m", units="1")
    late = stats.log_slope(run.error.isel(m=slice(-3, None)), "m")
    return run.assign(late=late.assign_attrs(long_name="exponent over the last m", units="1"))


def curse(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the powers of m of the error and of the norm, as if there were room for them."""
    k = np.array([min(k, p.dimension) for k in run.k.values.tolist()])
    exponent = [barron.fixed_features_exponent(i, p.dimension) for i in k]
    norm = [barron.kernel_norm_exponent(i, p.dimension) for i in k]
    return xr.Dataset({"exponent": ("k", exponent), "norm_exponent": ("k", norm)}, {"k": run.k})


def sphere(n: int, dimension: int, generator: np.random.Generator) -> np.ndarray:
    """Draw n directions uniformly: (n, dimension)."""
    drawn = generator.normal(size=(n, dimension))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _targets(
    p: Any, k: int, w: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Inner products (feature, target) of features with targets in random places; their square."""
    d = w.shape[1]
    if p.smooth:
        cosine = np.clip(w @ sphere(p.targets, d, generator).T, -1, 1)
        return subspheres.quadratic(cosine, d)
    if k == 1:
        return barron.inner_product(w, sphere(p.targets, d, generator)), subspheres.square(1, d)
    frame = np.linalg.qr(generator.normal(size=(p.targets, d, k)))[0]
    share = (np.einsum("md,tdk->mtk", w, frame) ** 2).sum(2)
    return subspheres.inner_product(np.minimum(share, 1), k, d), subspheres.square(k, d)
