import numpy as np
import pytest

from chymist.data import whole_numbers, whole_ranges
from chymist.errors import BadInput


def write(folder, text, name="numbers.csv"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "7\n3\n7\n",
        "n\n7\n3\n",
        "\ufeffn,f\n7,6\n\n3,3\n",
        "7;x\n3;y",
        '"7"\t1\n"3"\t2',
        " 7 \r\n 3 \r\n",
        "+7\n03",
    ],
)
def test_the_first_column_is_read_ascending_and_each_once(tmp_path, text):
    data = whole_numbers(write(tmp_path, text))
    np.testing.assert_array_equal(data.numbers, [3, 7])
    assert {"long_name", "units"} <= set(data.numbers.attrs)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "numbers.csv has no numbers"),
        ("n\n", "numbers.csv has no numbers"),
        ("3\nx\n", "numbers.csv, row 2: 'x' is not a whole number"),
        ("3.5\n", "numbers.csv, row 1: '3.5' is not a whole number"),
        ("n\nm\n3", "numbers.csv, row 2: 'm' is not a whole number"),
        ("3\n0\n", "numbers.csv, row 2: 0 cannot be used (allowed: whole numbers from 1 to 10000"),
        ("-3\n", "numbers.csv, row 1: -3 cannot be used"),
        ("1000000000001\n", "numbers.csv, row 1: 1000000000001 cannot be used"),
        ("1e5\n", "numbers.csv, row 1: '1e5' is not a whole number"),
        ("9" * 99, "numbers.csv, row 1: '9999999999999999999999999999999999999999...' is not a"),
        ("\n".join(map(str, range(1, 1002))), "numbers.csv has more than 1000 different numbers"),
        (b"\xff\xfe3", "numbers.csv is not UTF-8 text (byte 0)"),
        (b"1\n" * 2**20, "numbers.csv has 2097152 bytes (at most 1048576 are read)"),
    ],
)
def test_what_is_no_column_of_numbers_is_one_line(tmp_path, text, line):
    with pytest.raises(BadInput) as caught:
        whole_numbers(write(tmp_path, text))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match="no file"):
        whole_numbers(tmp_path / "absent.csv")


def test_ranges_stand_for_their_numbers():
    assert whole_ranges(("1-3", "9", 12)) == (1, 2, 3, "9", 12)
    assert whole_ranges("5-5") == (5,)
    assert whole_ranges(("-3", "a-b", 1.5)) == ("-3", "a-b", 1.5)
    for text in ("3-1", "1-1001"):
        with pytest.raises(ValueError, match="no range"):
            whole_ranges((text,))
    with pytest.raises(ValueError, match="1002 numbers are more than 1000"):
        whole_ranges(("1-501", "1001-1501"))
