"""What the reading process returns is what xarray would have read itself."""

import hashlib

import numpy as np
import pytest
import xarray as xr

from chymist.errors import DamagedRun
from chymist.lab.measured import load


@pytest.fixture
def data():
    chance = np.random.default_rng(0)
    found = xr.Dataset(
        {
            "rate": (("seed", "place"), chance.normal(size=(8, 3)).astype("f4")),
            "above": ("seed", np.arange(8) > 3),
            "steps": ("seed", np.arange(8)),
            "never": ("seed", np.full(8, np.nan)),
            "alone": 3.5,
            "word": ("place", ["x", "éy", ""]),
            "none": ("empty", np.zeros(0)),
        },
        coords={"seed": range(8), "place": ["hat", "tanh-8", "q"], "variant": "one"},
        attrs={"title": "a"},
    )
    found["rate"].attrs = {"long_name": "rate", "units": "1", "low": 2.5}
    return found


def test_it_equals_what_xarray_reads(data, tmp_path):
    files = {}
    for name in ("a.nc", "b.nc"):
        data.to_netcdf(tmp_path / name, encoding={"rate": {"zlib": True}})
        files[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        data = data.isel(seed=slice(4))
    found = load(tmp_path, files)
    assert list(found) == ["a.nc", "b.nc"]
    for name, dataset in found.items():
        read = xr.load_dataset(tmp_path / name, engine="netcdf4")
        xr.testing.assert_identical(dataset, read)
        for variable in read.variables:
            assert dataset[variable].dtype == read[variable].dtype, variable
        dataset["rate"][0] = 0.0  # and may be changed


def test_bytes_that_changed_since_the_run_was_opened_are_not_read(data, tmp_path):
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DamagedRun, match=r"a\.nc was altered"):
        load(tmp_path, {"a.nc": "0" * 64})
