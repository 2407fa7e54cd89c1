import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from torch import nn

from chymist import data
from chymist.errors import BadInput

X, Y = np.random.default_rng(0).normal(size=(2, 9, 3))
Y = Y[:, 0].copy()


def deep():
    torch.manual_seed(0)
    parts = [part for _ in range(6) for part in (nn.Linear(3, 3), nn.Tanh())]
    return nn.Sequential(*parts, nn.Linear(3, 1))


def test_files_and_functions_hold_the_same_network(tmp_path):
    net = deep()
    state = net.state_dict()
    np.savez(tmp_path / "n.npz", x=X, y=Y, **{n: w.numpy() for n, w in state.items()})
    save_file({"x": torch.as_tensor(X), "y": torch.as_tensor(Y), **state},
              tmp_path / "n.safetensors")  # fmt: skip
    found = data.made_checkpoint((net, (torch.as_tensor(X), Y[:, None])))
    assert found.layers.values.tolist() == ["0", "2", "4", "6", "8", "10", "12"]
    np.testing.assert_array_equal(found.weight_5, state["10.weight"])
    np.testing.assert_array_equal(found.points, X)
    np.testing.assert_array_equal(found.targets, Y)
    for read in (data.checkpoint, data.table_or_checkpoint):
        for name in ("n.npz", "n.safetensors"):
            xr.testing.assert_equal(read(tmp_path / name), found)


def test_an_archive_without_weights_is_a_table(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    assert "y" in data.table_or_checkpoint(tmp_path / "t.npz")


def layer(rows, columns):
    return np.ones((rows, columns))


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({}, r"holds no layer NAME\.weight"),
        ({"a.weight": layer(1, 2)}, "layer a takes 2 inputs and is given 3"),
        (
            {"a.weight": layer(4, 3), "b.weight": layer(1, 5)},
            "layer b takes 5 inputs and is given 4",
        ),
        ({"a.weight": layer(2, 3)}, "the last layer has 2 outputs"),
        ({"a.weight": layer(1, 3), "a.bias": np.ones(2)}, r"a\.bias has the shape \(2,\)"),
        ({"a.weight": layer(4, 3), "a.bias": np.ones(4), "b.weight": layer(1, 4)}, "some layers"),
        ({"a.weight": layer(1, 3) * np.nan}, r"a\.weight holds what is not a finite number"),
        ({"a.weight": np.ones((4, 3, 3, 3))}, r"a\.weight of shape \(4, 3, 3, 3\) is of no dense"),
        ({"a.weight": layer(1, 3), "norm.weight": np.ones(3)}, r"norm\.weight of shape \(3,\)"),
    ],
)
def test_weights_that_are_no_dense_network_are_refused(arrays, line):
    with pytest.raises(BadInput, match=line) as caught:
        data.made_checkpoint((arrays, (X, Y)))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("x", "y", "line"),
    [
        (np.ones((513, 3)), np.arange(513), "513 samples"),
        (X, X, "3 targets"),
        (X[:3], Y[:3], "has 3 rows"),
        (X, Y[:5], "x has 9 samples and y 5"),
        (X * np.inf, Y, r"sample 1, column x\[0\]"),
        (X, Y * 0, "the target is constant"),
        ("x", Y, "x is no array of real numbers but a str"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, y, line):
    with pytest.raises(BadInput, match=line):
        data.made_checkpoint(({"a.weight": layer(1, 3)}, (x, y)))


def test_a_file_without_its_data_is_refused(tmp_path):
    save_file({"a.weight": torch.ones(1, 3)}, tmp_path / "n.safetensors")
    with pytest.raises(BadInput, match="has no array x"):
        data.checkpoint(tmp_path / "n.safetensors")


@pytest.mark.parametrize("made", [None, (1, 2, 3), ({"a.weight": layer(1, 3)}, X[0])])
def test_what_is_no_network_with_data_is_refused(made):
    with pytest.raises(BadInput, match="the function returns"):
        data.made_checkpoint(made)
