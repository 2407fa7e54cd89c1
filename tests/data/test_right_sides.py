import numpy as np
import pytest
import scipy.io
import scipy.sparse
from PIL import Image

from chymist.data import source_or_matrix
from chymist.errors import BadInput

LINE = 2 * np.eye(5) - np.eye(5, k=1) - np.eye(5, k=-1)


def test_a_matrix_is_read_from_each_format(tmp_path):
    np.savez(tmp_path / "dense.npz", A=LINE, b=np.arange(1.0, 6))
    scipy.sparse.save_npz(tmp_path / "sparse.npz", scipy.sparse.csr_matrix(LINE))
    scipy.io.mmwrite(tmp_path / "market.mtx", scipy.sparse.coo_matrix(LINE))
    for name in ("dense.npz", "sparse.npz", "market.mtx"):
        data = source_or_matrix(tmp_path / name)
        np.testing.assert_array_equal(data.matrix, LINE)
        assert ("right" in data) == (name == "dense.npz")


def test_a_source_is_a_picture_or_an_array(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "f.png")
    np.savez(tmp_path / "f.npz", f=grey / 255)
    for name in ("f.png", "f.npz"):
        np.testing.assert_allclose(source_or_matrix(tmp_path / name).source, grey / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"A": np.ones((3, 4))}, r"A has shape \(3, 4\) \(needed: a square matrix\)"),
        ({"A": np.triu(np.ones((3, 3)))}, "A is not symmetric"),
        ({"A": -np.eye(3)}, "A has -1 on its diagonal"),
        ({"A": np.diag([1.0, np.nan])}, r"A of shape \(2, 2\) has 1 values that are not finite"),
        ({"A": np.eye(2001)}, r"A has shape \(2001, 2001\) \(allowed: 2 to 2000 rows\)"),
        ({"A": LINE, "b": np.ones(4)}, r"b has shape \(4,\) \(needed: \(5,\)\)"),
        ({"A": LINE, "b": np.zeros(5)}, "b is zero everywhere"),
        ({"A": LINE.astype(str)}, "A does not hold real numbers"),
        ({"x": LINE}, r"holds x \(needed: A \(and b\), or f\)"),
        ({"f": np.ones((8, 9))}, r"f has shape \(8, 9\)"),
        ({"f": np.zeros((8, 8))}, "f is zero everywhere"),
        ({"f": np.array([[None] * 8] * 8)}, "no .npz archive of numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line(tmp_path, arrays, line):
    path = tmp_path / "given.npz"
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match=line):
        source_or_matrix(path)


def test_a_small_file_of_a_large_matrix_is_refused(tmp_path):
    path = tmp_path / "large.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real general\n900000 900000 1\n1 1 1.0\n")
    with pytest.raises(BadInput, match="900000"):
        source_or_matrix(path)
    path.write_text("%%MatrixMarket matrix array real general\n900000 900000\n1.0\n")
    with pytest.raises(BadInput, match=r"900000|no Matrix Market"):
        source_or_matrix(path)
