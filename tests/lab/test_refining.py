"""Further points go where a statistic crosses the edge of its region, and nowhere else."""

import json

import numpy as np
import pytest

import chymist
from chymist.cli import execute
from chymist.lab import Lab


@pytest.fixture
def border(tiny):
    return tiny.with_name("border.py")


def refined(run):
    return run.data["map/converges"].to_dataset()


def test_a_border_is_found_by_halving(lab, border, capsys):
    words = ["--refine", "lr", "--on", "converges", "--points", "9"]
    assert execute(["run", str(border), *words]) == 4
    printed = capsys.readouterr().out
    run = Lab().open("latest")
    data = refined(run)
    assert data.sizes["point"] == 3 + 9
    assert sorted(data.lr.values) == data.lr.values.tolist()
    # Between 0.1 and 3, nine times halved by ratio.
    [[low, high]] = run.outcome["maps"]["converges"]["edges"]
    assert low < 2.0 <= high
    assert np.log(high / low) == pytest.approx(np.log(30) / 2**9, rel=0.05)
    assert f"edge lies in lr {low:g} to {high:g}" in printed
    # The claim is judged on the grid that was asked for, and on nothing that the data chose.
    assert [row.where["lr"] for row in run.verdicts["converges"].rows] == [0.1, 3.0, 90.0]
    assert run.data["descent"].lr.values.tolist() == [0.1, 3.0, 90.0]
    assert "map-converges" in run.specs
    assert "The statistic of converges over lr" in run.report.read_text()
    assert execute(["lab", "verify"]) == 0
    assert run.replay().same


def test_a_line_in_a_plane_is_found_level_by_level(lab, border):
    grid = (0.1, 1.1, 12.0)
    run = chymist.run(
        border, lr=grid, curvature=grid, refine=("lr", "curvature"), on="converges", points=150
    )
    data = refined(run)
    assert 9 + 100 < data.sizes["point"] <= 9 + 150
    product = data.lr * data.curvature
    value = data.statistic.mean("seed").isel(steps=0)
    np.testing.assert_array_equal(value < 0, product < 2.0)
    # A full grid of as many points would have two to three times fewer near the line.
    full = np.geomspace(0.1, 12.0, 13)
    near, usual = (
        float((abs(np.log(np.asarray(at) / 2.0)) < 0.5).mean())
        for at in (product, np.multiply.outer(full, full))
    )
    assert near > 2 * usual
    xs = np.unique(data.lr.values)
    crossed = [
        product.values[data.lr.values == x]
        for x in xs
        if (product.values[data.lr.values == x] < 2).any()
        and (product.values[data.lr.values == x] > 2).any()
    ]
    gaps = [p[p >= 2].min() / p[p < 2].max() for p in crossed]
    assert len(gaps) > 10
    assert np.median(gaps) < 1.4
    # Lanes that share all but one number were computed together.
    assert len(run.chunks) < data.sizes["point"] / 2


def test_an_axis_of_whole_numbers_is_halved_until_neighbours(lab, border):
    # |1 - 2.1|^n stays below 10^2 up to n = 48.
    other = lab.parent / "other.py"
    other.write_text(border.read_text().replace("below(0.0)", "below(2.0)", 1))
    run = chymist.run(
        other, lr=(2.1,), steps=(1, 100), refine=("steps",), on="converges", points=64
    )
    assert run.outcome["maps"]["converges"]["edges"] == [[48, 49]]
    assert refined(run).sizes["point"] < 12


def test_other_axes_are_measured_at_each_new_point(lab, border):
    run = chymist.run(
        border, sweep={"factor": (1.0, 2.0)}, refine=("lr",), on="converges", points=6
    )
    data = refined(run)
    assert data.statistic.sizes["factor"] == 2
    assert not data.statistic.isnull().any()
    # Two borders, one of each factor.
    edges = run.outcome["maps"]["converges"]["edges"]
    assert any(a < 2.0 <= b for a, b in edges)
    assert any(a < 1.0 <= b for a, b in edges)


@pytest.mark.parametrize("sealed", [3, 5])
def test_a_map_cut_short_goes_on_to_the_same_bytes(cut, border, found, sealed):
    asked = {"refine": ("lr",), "on": "converges", "points": 5}
    whole = chymist.run(border, **asked)
    unfinished = cut(sealed, border, **asked)
    done = chymist.resume()
    assert done.id == unfinished.id
    assert found(done) == found(whole)


def test_the_command_that_repeats_a_map(lab, border, found):
    run = chymist.run(border, refine=("lr",), on="converges", points=4)
    words = run.manifest["command"].split()
    assert words[-6:] == ["--refine", "lr", "--on", "converges", "--points", "4"]
    execute(words[1:])
    assert found(Lab().open("latest")) == found(run)
    execute(["show", "latest", "--json"])


def test_json_says_where_the_edge_is(lab, border, capsys):
    chymist.run(border, refine=("lr",), on="converges", points=4)
    capsys.readouterr()
    assert execute(["show", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)["maps"]["converges"]
    assert record["parameters"] == ["lr"]
    assert record["points"] == 7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--refine", "lr"], "refine needs a claim (give --on with one of converges, compares"),
        (["--refine", "lr", "--on", "convergs"], "unknown claim convergs to refine on (did you"),
        (["--refine", "rate", "--on", "converges"], "unknown parameter rate to refine"),
        (["--refine", "lr,lr", "--on", "converges"], "refine cannot be lr, lr (give one"),
        (["--refine", "steps", "--on", "converges"], "parameter steps cannot be refined: it needs"),
        (["--refine", "lr", "--on", "converges", "--points", "0"], "points cannot be 0 (allowed"),
        (["--on", "converges"], "on needs refine (give --refine as well)"),
        (["--points", "3"], "points needs refine (give --refine as well)"),
        (["--refine", "lr", "--on", "converges", "--until-decided"],
         "until-decided and refine do not go together"),
        # Known once the first chunk is there.
        (["--refine", "lr", "--on", "compares"],
         "claim compares cannot be refined over lr: its statistic compares different lr"),
        (["--refine", "lr", "--on", "averages"],
         "claim averages cannot be refined over lr: its statistic has no value at each lr"),
    ],
)  # fmt: skip
def test_what_cannot_be_refined_is_one_line_and_leaves_nothing(lab, border, refused, words, says):
    assert refused("run", border, *words).startswith(says)
    assert not lab.exists() or not list((lab / "runs").iterdir())
