import numpy as np
import pytest
import torch
import xarray as xr

from chymist import data
from chymist.errors import BadInput, BadParameter


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_named_y_are_targets_wherever_they_stand(tmp_path):
    found = data.table(written(tmp_path, "a,Y1,b,y2\n" + "1,2,3,4\n5,6,7,8\n" * 2))
    assert found.x.values[:2].tolist() == [[1, 3], [5, 7]]
    assert found.y.values[:2].tolist() == [[2, 4], [6, 8]]


def test_without_them_the_last_column_is(tmp_path):
    found = data.table(written(tmp_path, "a,b,c\n" + "1,2,3\n\n5,6,7\n" * 2))
    assert found.x.shape == (4, 2)
    assert found.y.values[:, 0].tolist() == [3, 7, 3, 7]


def test_an_archive_holds_arrays_of_any_shape_and_labels(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=np.arange(24.0).reshape(4, 2, 3), y=np.array([3, 1, 3, 5]))
    found = data.table(path)
    assert found.x.shape == (4, 6)
    assert found.y.values.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.savez(path, x=np.arange(8.0).reshape(4, 2), y=np.array([0.5, 1, 1.5, 2]))
    assert data.table(path).y.values[:, 0].tolist() == [0.5, 1, 1.5, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has 1 rows"),
        ("a,b\n1,2\n1\n", "row 3 has 1 cells"),
        ("a,b\n1,2\n1,x\n", "row 3, column b: 'x' is not a number"),
        ("a,b\n" + "1,2\n" * 4 + "nan,3\n", "sample 5, column a: nan"),
        ("a,b\n" + "1,2\n" * 4, "the target is constant"),
        ("y\n" + "1\n2\n" * 4, "no column of features"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(BadInput, match=message) as caught:
        data.table(written(tmp_path, text))
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((4, 2))}, "no array y"),
        ({"x": np.ones((4, 2)), "y": np.arange(3)}, "x has 4 samples and y 3"),
        ({"x": np.ones((4, 2)), "y": np.array(["a"] * 4)}, "no array y of numbers"),
        ({"x": np.full((4, 2), np.inf), "y": np.arange(4.0)}, r"sample 1, column x\[0\]: inf"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(BadInput, match=message):
        data.table(tmp_path / "t.npz")


def test_an_archive_of_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.array([object()] * 4), y=np.arange(4.0))
    with pytest.raises(BadInput, match=r"no \.npz archive of numbers"):
        data.table(tmp_path / "t.npz")


def sampled(rows=200, **columns):
    grid = np.arange(rows)
    given = {"a": grid % 7, "b": grid % 11, "y": grid % 5} | columns
    lines = zip(*(np.broadcast_to(v, rows).tolist() for v in given.values()), strict=True)
    return "\n".join([",".join(given), *(",".join(map(str, line)) for line in lines)])


def test_a_sampled_function_has_inputs_of_unit_variance(tmp_path):
    found = data.sampled_function(written(tmp_path, sampled(240, b=np.arange(240) * 1e6)))
    assert found.x.shape == (240, 2)
    np.testing.assert_allclose(found.x.mean("sample"), 0, atol=1e-12)
    np.testing.assert_allclose(found.x.var("sample"), 1)
    assert float(found.y.var()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (sampled(199), "has 199 rows"),
        ("a,y\n" + "1,2\n2,1\n" * 100, "has one feature"),
        (sampled(y2=np.arange(200)), "has 2 targets"),
        (sampled(b=3.5), "column b is constant"),
        (sampled(c=-2 * (np.arange(200) % 7)), "columns a and c are the same but for scale"),
        (sampled(y=1), "the target is constant"),
    ],
)
def test_samples_that_show_no_function_are_refused(tmp_path, text, message):
    with pytest.raises(BadInput, match=message) as caught:
        data.sampled_function(written(tmp_path, text))
    assert caught.value.hint


def made_f(x):
    return np.abs(x[:, 0]) + x[:, 1]


def made_sample(rng, n):
    return rng.normal(size=(n, 3))


def test_a_function_is_drawn_at_the_same_points_every_time():
    found = data.made_function((made_f, made_sample))
    assert found.x.shape == (4000, 3)
    again = data.made_function([lambda x: torch.as_tensor(made_f(x))[:, None], made_sample])
    xr.testing.assert_identical(found, again)
    x, y = (found[n].values for n in "xy")
    raw = data.made_function((lambda x: x[:, 0] > 0, made_sample))
    assert raw.y.sizes["output"] == 1
    np.testing.assert_allclose(np.corrcoef(y[:, 0], x[:, 1])[0, 1], (1 / (2 - 2 / np.pi)) ** 0.5,
                               atol=0.03)  # fmt: skip


def test_arrays_that_a_function_returns_are_those_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)), rng.normal(size=200)
    np.savez(tmp_path / "t.npz", x=x, y=y)
    for read, take in (
        (data.sampled_function, data.made_function),
        (data.one_target, data.made_target),
    ):
        file, made = read(tmp_path / "t.npz"), take((torch.as_tensor(x), y.tolist()))
        np.testing.assert_array_equal(file.x, made.x)
        np.testing.assert_array_equal(file.y, made.y)


def failing(*given):
    raise KeyError("absent")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "the function returns None"),
        ((1, 2, 3), "the function returns a tuple of 3"),
        ((made_f, 5), "x is no array of real numbers but a function"),
        ((made_f, failing), "sample failed: KeyError: 'absent'"),
        ((failing, made_sample), "f failed: KeyError: 'absent'"),
        (
            (made_f, lambda rng, n: rng.normal(size=n)),
            r"4000\) has the shape \(4000,\)",
        ),
        ((made_f, lambda rng, n: rng.normal(size=(9, 3))), r"has the shape \(9, 3\)"),
        ((lambda x: x, made_sample), r"f\(x\) has the shape \(4000, 3\) for x of shape"),
        ((lambda x: 1.0, made_sample), r"f\(x\) is no array of real numbers but a float"),
        ((lambda x: x[:, 0] + 1j, made_sample), r"f\(x\) is no array of real numbers"),
        ((lambda x: x[:, 0] * 0, made_sample), "the target is constant"),
        ((lambda x: np.log(x[:, 0] * 0), made_sample), "column y.*: -inf"),
        ((made_f, lambda rng, n: rng.normal(size=(n, 1)) ** [[1, 1]]), "the same but for scale"),
        (([[1, 2], [3]], [1, 2]), "x is no array of real numbers but a list"),
        ((np.ones((300, 2)), np.ones(20)), "x has 300 samples and y 20"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_no_function_is_refused_in_a_line(made, message):
    with pytest.raises(BadInput, match=message) as caught:
        data.made_function(made)
    assert caught.value.hint


def test_as_many_rows_are_taken_as_a_kernel_has(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(2, 513, 1))
    assert data.made_target((x[:512], y[:512, 0])).sizes["sample"] == 512
    with pytest.raises(BadInput, match=r"513 rows \(allowed: at most 512"):
        data.made_target((x, y[:, 0]))


def test_digits_are_centred_and_of_unit_size():
    x, label = data.digits8(100)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-12)
    assert (x**2).mean() == pytest.approx(1)
    assert sorted(set(label.tolist())) == list(range(10))
    with pytest.raises(BadParameter, match="1798 digits were asked for"):
        data.digits8(1798)


def test_chebyshev_polynomials_are_cosines():
    x, y = data.chebyshev(20, 5)
    np.testing.assert_allclose(y, np.cos(5 * np.arccos(x)), atol=1e-12)
    with pytest.raises(BadParameter, match="1 points of T_3"):
        data.chebyshev(1, 3)
