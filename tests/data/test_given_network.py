import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from torch import nn

from chymist import data
from chymist.data import given_network as room
from chymist.errors import BadInput


def written(tmp_path, **arrays):
    path = tmp_path / "net.npz"
    np.savez(path, **{name.replace("_", "."): array for name, array in arrays.items()})
    return path


def test_a_layer_is_its_weight_with_its_bias_and_a_channel_is_a_neuron(tmp_path):
    key = np.random.default_rng(0)
    first, bias, conv = key.normal(size=(6, 3)), key.normal(size=6), key.normal(size=(5, 2, 3, 3))
    found = data.network_weights(
        written(tmp_path, a_weight=first, a_bias=bias, c_weight=conv, norm_weight=np.ones(7))
    )
    assert found.layers.values.tolist() == ["a", "c"]
    np.testing.assert_array_equal(found.weight_0, np.c_[first, bias])
    np.testing.assert_array_equal(found.weight_1, conv.reshape(5, 18))
    assert found.attrs["notes"] == ""


def test_what_a_state_dict_holds_is_read(tmp_path):
    from torch import nn

    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    path = tmp_path / "net.npz"
    np.savez(path, **{n: w.numpy() for n, w in net.state_dict().items()})
    found = data.network_weights(path)
    assert found.layers.values.tolist() == ["0"]
    assert found.weight_0.shape == (8, 4)
    assert found.attrs["notes"] == "2 of shape (1, 8) is left out"


def test_of_a_wide_layer_some_neurons_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "MOST", 5)
    rows = np.arange(18.0).reshape(9, 2)
    found = data.network_weights(written(tmp_path, a_weight=rows))
    np.testing.assert_array_equal(found.weight_0, rows[::2])
    assert found.attrs["notes"] == "of the 9 neurons of a 5 are taken"


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"x": np.ones((9, 3)), "y": np.ones(9)}, r"no layer NAME\.weight .*, but x, y"),
        ({"a_weight": np.ones((3, 9))}, "no layer"),
        ({"a_weight": np.ones((9, 1))}, "no layer"),
        ({"a_weight": np.array([["w"] * 4] * 4)}, r"a\.weight does not hold real numbers"),
        ({"a_weight": np.full((4, 4), np.nan)}, r"a\.weight has 16 weights that are not finite"),
        ({"a_weight": np.ones((4, 4)), "a_bias": np.full(4, np.inf)}, r"a\.bias has 4 weights"),
        ({"a_weight": np.array([[None] * 4] * 4)}, r"is no \.npz archive of numbers"),
    ],
)
def test_what_is_no_network_is_refused_in_a_line(tmp_path, arrays, line):
    with pytest.raises(BadInput, match=line) as caught:
        data.network_weights(written(tmp_path, **arrays))
    assert caught.value.hint and "\n" not in str(caught.value)


def test_a_harmed_archive_is_refused(tmp_path):
    path = tmp_path / "net.npz"
    np.savez_compressed(path, **{"a.weight": np.random.default_rng(0).normal(size=(40, 40))})
    whole = path.read_bytes()
    for place in range(0, len(whole), 997):
        path.write_bytes(whole[:place])
        with pytest.raises(BadInput, match=r"is no \.npz archive of numbers"):
            data.network_weights(path)
    path.write_bytes(whole[:600] + bytes(b ^ 255 for b in whole[600:900]) + whole[900:])
    with pytest.raises(BadInput, match=r"is no \.npz archive of numbers"):
        data.network_weights(path)
    with pytest.raises(BadInput, match="no file"):
        data.network_weights(tmp_path / "absent.npz")


def sequential(width=8):
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 4))


def test_safetensors_and_a_module_are_read_as_an_archive_is(tmp_path):
    net = sequential()
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    np.savez(tmp_path / "net.npz", **{n: w.numpy() for n, w in net.state_dict().items()})
    found = data.network_weights(tmp_path / "net.npz")
    assert found.layers.values.tolist() == ["0", "2"]
    for other in (
        data.network_weights(tmp_path / "net.safetensors"),
        data.made_network(net),
        data.made_network(dict(net.state_dict())),
    ):
        xr.testing.assert_equal(found, other)


def test_half_precision_is_read(tmp_path):
    weight = torch.randn(5, 3).bfloat16()
    save_file({"a.weight": weight}, tmp_path / "net.safetensors")
    for found in (
        data.network_weights(tmp_path / "net.safetensors"),
        data.made_network({"a.weight": weight}),
    ):
        np.testing.assert_array_equal(found.weight_0, weight.double().numpy())


def test_two_files_are_a_network_before_and_after(tmp_path):
    early, late = sequential(), nn.ModuleDict({"0": nn.Linear(3, 8), "new": nn.Linear(8, 5)})
    save_file(early.state_dict(), tmp_path / "1.safetensors")
    np.savez(tmp_path / "2.npz", **{n: w.numpy() for n, w in late.state_dict().items()})
    found = data.network_pair([tmp_path / "1.safetensors", tmp_path / "2.npz"])
    assert found.layers.values.tolist() == found.before.values.tolist() == ["0"]
    for name, net in (("before_0", early), ("weight_0", late)):
        rows = torch.cat([net.state_dict()["0.weight"], net.state_dict()["0.bias"][:, None]], 1)
        np.testing.assert_array_equal(found[name], rows)
    xr.testing.assert_equal(found, data.made_network((early, late)))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (None, "what the function returns is no network but a NoneType"),
        (nn.Tanh(), "holds no layer .*, but nothing"),
        ((sequential(), 3), "the second is no network but a int"),
        ((sequential(), sequential(9)), r"layer 0 has the shape \(8, 4\) in before and \(9, 4\)"),
        (({"a.weight": np.ones((4, 4))}, {"b.weight": np.ones((4, 4))}), "no layer in common"),
        ({"a.weight": "words"}, r"a\.weight is no array of real numbers but a str"),
        ({"a.weight": torch.full((4, 4), torch.nan)}, r"16 weights that are not finite"),
    ],
)
def test_what_a_function_returns_that_is_no_network_is_refused(made, line):
    with pytest.raises(BadInput, match=line) as caught:
        data.made_network(made)
    assert caught.value.hint


def test_a_folder_of_three_networks_is_refused(tmp_path):
    files = [tmp_path / f"{i}.npz" for i in range(3)]
    with pytest.raises(BadInput, match="holds 3 networks"):
        data.network_pair(files)


def test_safetensors_that_are_none_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(BadInput, match=r"is no \.safetensors file"):
        data.network_weights(path)
