import numpy as np
import pytest
import torch
from torch import nn

from chymist.bench import Bench, samples
from chymist.instruments import empirical_ntk, fourier_diagonal
from chymist.models import MLP, TwoLayer, stratified_circle_start

F64 = torch.float64
X = np.random.default_rng(0).normal(size=(9, 3))


def networks(build, start=None, seeds=(0, 1, 2)):
    return Bench("s", "e", tuple(seeds), dtype=F64).networks(build, start)


def kernel(ensemble, x):
    return ensemble.measure(empirical_ntk, samples(x), ("sample", "other"))


def differences(build, parameters, x, h=1e-6):
    """Jacobian by central differences in NumPy's float64."""
    module = build().double()
    names = list(parameters)
    flat = torch.cat([parameters[n].flatten() for n in names])

    def outputs(vector):
        pieces = torch.split(vector, [parameters[n].numel() for n in names])
        state = {n: p.view_as(parameters[n]) for n, p in zip(names, pieces, strict=True)}
        with torch.no_grad():
            return torch.func.functional_call(module, state, (torch.tensor(x),)).numpy()

    steps = h * torch.eye(len(flat), dtype=F64)
    return np.stack([(outputs(flat + s) - outputs(flat - s)) / (2 * h) for s in steps], axis=-1)


@pytest.mark.parametrize(
    "build", [lambda: MLP(3, 5, 4, 2), lambda: TwoLayer(3, 6, activation="sin")]
)
def test_the_kernel_equals_a_jacobian_by_differences(build):
    ensemble = networks(build)
    ours = kernel(ensemble, X)
    for lane in range(3):
        jacobian = differences(build, {n: p[lane] for n, p in ensemble.parameters.items()}, X)
        expected = np.einsum("ifp,jfp->ij", jacobian, jacobian)
        np.testing.assert_allclose(ours[lane], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_kernel_of_a_linear_model_is_the_gram_matrix(outputs, bias):
    ours = kernel(networks(lambda: nn.Linear(3, outputs, bias=bias)), X)
    expected = outputs * (X @ X.T + (1.0 if bias else 0.0))
    np.testing.assert_allclose(ours, np.stack([expected] * 3), rtol=1e-12)


def relu_kernel(weights, biases, outer, x):
    """Two-layer ReLU kernel, m^-1 sum_j [s_j s_j' + a_j^2 1_j 1_j' (x.x' + 1)]."""
    before = x @ weights.T + biases
    on, after = (before > 0).astype(float), np.maximum(before, 0)
    inner = (on * outer**2) @ on.T * (x @ x.T + 1)
    return (after @ after.T + inner) / len(outer)


def test_the_kernel_of_a_two_layer_relu_network_has_its_closed_form():
    ensemble = networks(lambda: TwoLayer(3, 40))
    ours = kernel(ensemble, X)
    for lane in range(3):
        w, b, a = (
            ensemble.parameters[n][lane].numpy()
            for n in ("inner.weight", "inner.bias", "outer.weight")
        )
        np.testing.assert_allclose(ours[lane], relu_kernel(w, b, a[0], X), rtol=1e-12, atol=1e-12)


def test_wide_networks_on_the_circle_approach_the_arc_cosine_kernel():
    # Weights uniform on the unit circle, a = +-1: E 1 1' = (pi - t) / 2 pi for an angle t, and
    # E s s' = (sin t + (pi - t) cos t) / 4 pi. Cho and Saul (2009), in two dimensions.
    n = 24
    angle = 2 * np.pi * np.arange(n) / n
    ensemble = networks(lambda: TwoLayer(2, 4096), stratified_circle_start, seeds=(0, 1))
    ours = kernel(ensemble, np.stack([np.cos(angle), np.sin(angle)], axis=1))
    t = np.arccos(np.clip(np.cos(angle[:, None] - angle), -1, 1))
    active = (np.pi - t) / (2 * np.pi)
    features = (np.sin(t) + (np.pi - t) * np.cos(t)) / (4 * np.pi)
    expected = active * (np.cos(t) + 1) + features
    np.testing.assert_allclose(ours, np.stack([expected] * 2), atol=2e-3)


def test_the_kernel_is_symmetric_positive_and_permutes_with_its_samples():
    ensemble = networks(lambda: MLP(3, 6, 1))
    order = np.random.default_rng(1).permutation(9)
    ours, permuted = kernel(ensemble, X).values, kernel(ensemble, X[order]).values
    np.testing.assert_allclose(permuted, ours[:, order][:, :, order], rtol=1e-12)
    np.testing.assert_allclose(ours, ours.transpose(0, 2, 1), rtol=1e-12)
    assert np.linalg.eigvalsh(ours).min() > -1e-10


def test_buffers_are_not_differentiated():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1, bias=False)
            self.register_buffer("scale", torch.tensor(2.0))

        def forward(self, x):
            return self.scale * self.layer(x)

    ours = kernel(networks(Scaled), X)
    np.testing.assert_allclose(ours, np.stack([4 * X @ X.T] * 3), rtol=1e-12)


@pytest.mark.parametrize("n", [7, 8])
def test_fourier_diagonal_gives_the_eigenvalues_of_a_rotation_invariant_kernel(n):
    rng = np.random.default_rng(0)
    spectrum = rng.uniform(0.5, 2, size=n // 2 + 1)
    distance = np.arange(n)
    multiplicity = np.full(n // 2 + 1, 2.0)
    multiplicity[0] = 1
    if n % 2 == 0:
        multiplicity[-1] = 1
    row = (spectrum * multiplicity) @ np.cos(
        2 * np.pi * np.outer(np.arange(n // 2 + 1), distance) / n
    )
    matrix = row[(distance[:, None] - distance) % n]
    ours = fourier_diagonal(torch.tensor(np.stack([matrix, 2 * matrix])))
    np.testing.assert_allclose(ours, np.stack([spectrum, 2 * spectrum]), rtol=1e-12)
    expected = np.sort(np.repeat(spectrum, multiplicity.astype(int)))
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix / n), expected, rtol=1e-12)


def test_fourier_diagonal_of_any_kernel_sums_to_its_trace():
    # Each frequency but 0 and n/2 has a cosine and a sine, which share one entry.
    for n in (7, 8):
        factor = np.random.default_rng(0).normal(size=(n, n))
        matrix = factor @ factor.T
        ours = fourier_diagonal(torch.tensor(matrix)).numpy()
        twice = ours[1:].sum() * 2 - (ours[-1] if n % 2 == 0 else 0)
        np.testing.assert_allclose(ours[0] + twice, np.trace(matrix) / n, rtol=1e-12)
