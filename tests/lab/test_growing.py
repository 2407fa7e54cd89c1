"""Seeds are added where a claim is undecided; the run stays a run: sealed, resumed, replayed."""

import json

import numpy as np
import pytest
import xarray as xr

import chymist
from chymist.cli import execute
from chymist.errors import BadParameter, DamagedRun, Interrupted
from chymist.lab import Lab, Run, planning
from chymist.lab.store import joined

STUDY = "coin.py"


@pytest.fixture
def coin(tiny):
    return tiny.with_name(STUDY)


def seeds(run):
    return {
        (c.experiment, c.arm): max(x.seeds[1] for x in run.chunks if x.arm == c.arm and
                                   x.experiment == c.experiment)
        for c in run.chunks
    }  # fmt: skip


def test_seeds_are_added_until_all_is_decided_and_only_where_needed(lab, coin, capsys):
    assert execute(["run", str(coin), "--until-decided"]) == 0
    printed = capsys.readouterr()
    run = Lab().open("latest")
    taken = seeds(run)
    # What is decided at once gets no seed more; eight do not decide a mean of half a spread.
    assert taken["far", "treatment"] == taken["far", "control"] == taken["near", "control"] == 8
    assert taken["near", "treatment"] > 8
    verdict = run.verdicts["biased"]
    assert verdict.status == "supported"
    assert verdict.anytime
    assert len(verdict.rows[0].values) == taken["near", "treatment"]
    assert len(run.manifest["rounds"]) == len(list((run.folder / "rounds").iterdir()))
    assert run.manifest["rounds"][0]["why"] == "undecided: biased after 8 seeds"
    assert "chymist: undecided: biased after 8 seeds" in printed.err
    row = next(line for line in printed.out.splitlines() if line.startswith("biased"))
    assert row.split()[3] == str(taken["near", "treatment"])
    assert execute(["lab", "verify"]) == 0
    assert run.replay().same


def test_the_seeds_that_were_added_are_those_of_a_longer_run(lab, coin):
    grown = chymist.run(coin, until_decided=True)
    longer = chymist.run(coin, seeds=seeds(grown)["near", "treatment"])
    one, two = (r.data["near"].to_dataset() for r in (grown, longer))
    xr.testing.assert_identical(one, two)
    assert grown.verdicts["biased"].rows[0].values == longer.verdicts["biased"].rows[0].values
    # The price of looking more than once.
    narrow, wide = (r.verdicts["biased"].rows[0].interval for r in (longer, grown))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_it_stops_at_the_most_and_says_inconclusive(lab, coin):
    run = chymist.run(coin, sign=1e-3, until_decided=True, max_seeds=11)
    assert run.status == "inconclusive"
    assert seeds(run)["near", "treatment"] == 11
    assert run.exit_code == 3


def test_what_no_seed_can_decide_gets_none(lab, coin):
    run = chymist.run(coin, lost=0.0, until_decided=True)
    assert "values missing" in run.verdicts["biased"].note
    assert seeds(run)["near", "treatment"] == 8


@pytest.mark.parametrize("sealed", [4, 5, 6])
def test_a_run_cut_short_while_it_grows_goes_on_to_the_same_bytes(cut, coin, found, sealed):
    whole = chymist.run(coin, until_decided=True)
    unfinished = cut(sealed, coin, until_decided=True)
    if sealed > 4:
        # What was known before the round is shown meanwhile.
        assert unfinished.verdicts["biased"].status == "inconclusive"
    done = chymist.resume()
    assert done.id == unfinished.id
    assert found(done) == found(whole)
    assert done.manifest["rounds"] == whole.manifest["rounds"]


def test_two_processes_grow_a_run_to_the_same_bytes(lab, coin, found):
    one = chymist.run(coin, until_decided=True, sweep={"width": (1, 2)}, threads=1)
    two = chymist.run(coin, until_decided=True, sweep={"width": (1, 2)}, jobs=2)
    assert len(one.manifest["rounds"]) > 1
    assert found(one) == found(two)


def test_a_round_that_was_altered_lost_or_anothers_is_not_believed(cut, coin):
    unfinished = cut(6, coin, until_decided=True)
    path = unfinished.folder / "rounds" / "0002.json"
    whole = path.read_text()
    path.write_text(whole.replace("[\n    8,", "[\n    9,"))
    with pytest.raises(DamagedRun, match=r"rounds/0002.json was altered"):
        Run.open(unfinished.folder)
    assert execute(["lab", "verify"]) == 6
    other = cut(6, coin, until_decided=True, lr=(0.3,))
    path.write_text((other.folder / "rounds" / "0002.json").read_text())
    with pytest.raises(DamagedRun, match=r"rounds/0002.json cannot be read"):
        Run.open(unfinished.folder)
    record = json.loads((other.folder / "rounds" / "0002.json").read_text())
    from chymist.lab.plan import digest

    record["id"] = unfinished.id
    path.write_text(json.dumps({**record, "digest": digest(record)}))
    with pytest.raises(DamagedRun, match=r"rounds/0002.json was altered"):
        Run.open(unfinished.folder)
    path.unlink()
    assert chymist.resume(unfinished.id).sealed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--max-seeds", "20"], "max-seeds needs until-decided (give --until-decided as well)"),
        (["--until-decided", "--max-seeds", "7"],
         "max-seeds cannot be 7 with 8 seeds to begin with (allowed: integer from 8 to 10000)"),
    ],
)  # fmt: skip
def test_impossible_limits_are_one_line(lab, coin, refused, words, says):
    assert refused("run", coin, *words) == says
    assert not lab.exists()


def test_the_command_that_repeats_a_run_grows_it_too(lab, coin, found):
    run = chymist.run(coin, until_decided=True)
    words = run.manifest["command"].split()
    assert words[-3:] == ["--until-decided", "--max-seeds", "64"]
    assert execute(words[1:]) == 0
    assert found(Lab().open("latest")) == found(run)


def test_long_chunks_are_planned_as_several_of_few_seeds(lab, coin, found):
    study = chymist.find(str(coin))
    planned = planning.chunks(study, study.experiments, {"seeds": 10}, [{}], "long")
    # A stated 1000 s over four cells, at most 60 s a chunk.
    assert [c.seeds for c in planned[:5]] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert len(planned) == 4 * 5
    quick = planning.chunks(study, study.experiments, {"seeds": 10}, [{}], "quick")
    assert [c.seeds for c in quick] == [(0, 10)] * 4
    sliced, whole = chymist.run(coin, preset="long"), chymist.run(coin, seeds=10)
    for name in ("near", "control/far"):
        xr.testing.assert_identical(sliced.data[name].to_dataset(), whole.data[name].to_dataset())
    assert sliced.verdicts == whole.verdicts


def test_slices_that_disagree_on_what_has_no_seed_do_not_fit():
    parts = [
        ({}, xr.Dataset({"a": ("seed", np.ones(2)), "b": c}, {"seed": [2 * c, 2 * c + 1]}))
        for c in (0, 1)
    ]
    with pytest.raises(xr.MergeError, match="b"):
        joined(parts)


def test_a_seed_too_few_is_refused_by_python_too(lab, coin):
    with pytest.raises(BadParameter, match="max-seeds cannot be 3"):
        chymist.run(coin, until_decided=True, max_seeds=3)
    with pytest.raises(Interrupted):
        chymist.run(coin, until_decided=True, observe=_interrupt)


def _interrupt(event):
    raise KeyboardInterrupt
