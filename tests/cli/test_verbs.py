import json

import pytest
import xarray as xr

import chymist
from chymist.cli import execute


@pytest.fixture
def sealed(lab, tiny):
    return chymist.run(tiny)


def printed(capsys, *words, code=0):
    assert execute([str(w) for w in words]) == code
    return capsys.readouterr().out


def test_list_names_every_study(capsys):
    out = printed(capsys, "list")
    assert "frequency-principle" in out
    assert "image-memorisation" in out
    records = json.loads(printed(capsys, "list", "--json"))
    assert {r["slug"] for r in records} >= {"frequency-principle", "image-memorisation"}


@pytest.mark.parametrize("slug", ["frequency-principle", "image-memorisation"])
def test_info_has_question_claims_parameters_cost_references(slug, capsys):
    study = chymist.find(slug)
    out = " ".join(printed(capsys, "info", slug).split())
    for experiment in study.experiments:
        for claim in experiment.claims:
            assert claim.name in out
    for word in ("--seeds", "integer from 5 to 10000", "preset quick: about", "arXiv:"):
        assert word in out
    record = json.loads(printed(capsys, "info", slug, "--json"))
    assert record["parameters"]["properties"]["seeds"]["minimum"] == 5


def test_help_of_run_shows_the_studys_own_flags(tiny, capsys):
    out = printed(capsys, "run", tiny, "--help")
    assert "--preset" in out
    assert "--centre" in out
    assert "number from -10 to 10" in " ".join(out.split())


def test_runs_and_show(sealed, capsys):
    assert sealed.id in printed(capsys, "runs")
    [record] = json.loads(printed(capsys, "runs", "--json"))
    assert (record["study"], record["verdict"]) == ("tiny", "supported")
    assert "✓ supported" in printed(capsys, "show", sealed.id)
    assert json.loads(printed(capsys, "show", "--json"))["id"] == sealed.id


def test_report_prints_where_it_is(sealed, tmp_path, capsys):
    path = tmp_path / "mine.html"
    assert printed(capsys, "report", sealed.id, "--output", path).strip() == str(path)
    assert "Draws have a mean" in path.read_text()


def test_export_writes_what_other_programs_read(sealed, tmp_path, capsys):
    folder = tmp_path / "out"
    out = printed(
        capsys,
        "export",
        "latest",
        "--csv",
        "--netcdf",
        "--figures",
        "svg,png,pdf",
        "--output",
        folder,
    )
    assert sorted(out.split()) == sorted(map(str, folder.iterdir()))
    header, first, *_ = (folder / "means-mean.csv").read_text().splitlines()
    assert header == "seed,width,mean" or header == "width,seed,mean"
    assert len(first.split(",")) == 3
    assert xr.load_dataset(folder / "means.treatment.nc")["mean"].size == 8
    assert (folder / "means.svg").read_text().startswith("<svg")
    assert (folder / "means.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "means.pdf").read_bytes().startswith(b"%PDF")


def test_cite_a_study_and_a_run(sealed, capsys):
    assert "@misc{xu2020frequency," in printed(capsys, "cite", "frequency-principle")
    out = printed(capsys, "cite", sealed.id)
    assert f"@misc{{chymist-{sealed.id}," in out
    assert "@misc{jacot2018neural," in out


def test_new_does_not_overwrite(lab, refused, capsys):
    assert printed(capsys, "new", "wide-nets").strip() == "wide_nets.py"
    assert "exists already" in refused("new", "wide-nets")


@pytest.mark.slow
def test_a_new_study_runs_unchanged(lab, capsys):
    printed(capsys, "new", "wide-nets")
    out = printed(capsys, "run", "wide_nets.py")
    assert "✓ supported" in out
    assert "✓ flipped" in out
