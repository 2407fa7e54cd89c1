"""A reader's own file: bounded, looked at, decoded in a process of its own, named by no path."""

import asyncio
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from web_server import RIGHT, STUDIES

from chymist.errors import BadInput, BadParameter
from chymist.lab import Lab
from chymist.web import uploads
from chymist.web.uploads import ending, planned

TURNS = np.linspace(0, 2 * np.pi, 64, endpoint=False)
WAVES = np.sin(TURNS) + np.sin(5 * TURNS)
CSV = "".join(["x,y\n", *(f"{x},{y}\n" for x, y in zip(TURNS, WAVES, strict=True))]).encode()
BOUNDARY = "a-boundary"
FORM = [*RIGHT, ("content-type", f"multipart/form-data; boundary={BOUNDARY}")]


def parts(content, name="mine.csv", **fields):
    """Return the body that a browser sends."""
    text = "".join(
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in {"preset": "quick", **fields}.items()
    )
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return text.encode() + head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def picture(kind):
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("B.PNG", picture("PNG")),
        ("c.jpeg", picture("JPEG")),
        ("d.webp", picture("WEBP")),
        ("../../e.txt", "δ".encode()),
        ("f.safetensors", save({"a.weight": torch.ones(4, 2)})),
    ],
)
def test_a_file_keeps_only_its_ending(name, content):
    accepted = (".csv", ".png", ".jpeg", ".webp", ".txt", ".safetensors")
    assert f".{name.lower().rpartition('.')[2]}" == ending(name, content, accepted)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\x7fELF\x00\x00"),
        ("a.csv", picture("PNG")),
        ("a.png", CSV),
        ("a.png", picture("JPEG")),
        ("a.webp", b"RIFF\x00\x00\x00\x00WAVEfmt "),
        ("a.exe", CSV),
        ("a.safetensors", CSV),
        ("a.safetensors", b"PK\x03\x04" + b"\x00" * 40),
        ("a.csv/../../x", CSV),
        ("", CSV),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_refused(name, content):
    with pytest.raises(BadInput):
        ending(name, content, (".csv", ".png", ".webp", ".safetensors"))


def order(lab, **changed):
    plain = {"preset": "quick", "lab": str(lab), "asked": {"until_decided": False}, "threads": 1}
    return {**plain, "name": str(STUDIES / "tiny.py"), "parameters": {}, **changed}


def test_a_file_is_read_elsewhere_and_the_run_planned(lab, monkeypatch):
    from chymist.data import signals

    def here(path):
        raise AssertionError("decoded in the server's process")

    monkeypatch.setattr(signals, "signal", here)
    run = asyncio.run(planned(CSV, ".csv", order(lab, parameters={"centre": "0.9"})))
    plan = json.loads((lab / "runs" / run / "plan.json").read_text())
    assert plan["input"]["name"] == "data.csv" and plan["changed"] == ["centre"]
    assert Lab(lab).resume(run).status == "supported"


def test_what_is_wrong_with_a_file_comes_back_in_one_line(lab):
    with pytest.raises(BadInput) as error:
        asyncio.run(planned(b"x,y\n1,one\n", ".csv", order(lab)))
    assert "the file" in str(error.value) and "/" not in error.value.message
    assert not lab.exists() or not Lab(lab).folders()
    with pytest.raises(BadParameter):
        asyncio.run(planned(CSV, ".csv", order(lab, parameters={"centre": "99"})))


def test_a_file_that_takes_too_long_or_kills_its_reader_harms_nothing(lab, monkeypatch):
    monkeypatch.setattr(uploads, "PATIENCE", 0.01)
    with pytest.raises(BadInput, match="too long"):
        asyncio.run(planned(CSV, ".csv", order(lab)))
    monkeypatch.setattr(uploads, "PATIENCE", 60.0)
    with pytest.raises(BadInput, match="cannot be read"):
        asyncio.run(planned(CSV, ".csv", order(lab, parameters=None)))


def test_a_form_with_a_file_starts_a_run_and_a_bad_file_is_named_beside_its_field(laboratory):
    target, lab = "/studies/tiny/runs", laboratory.house.reading.lab
    answer = laboratory("POST", target, FORM, parts(CSV, centre="0.9"))
    assert answer.status == 303, answer.text
    run = answer.header("location").rpartition("/")[2]
    plan = json.loads((lab.runs_folder / run / "plan.json").read_text())
    assert plan["input"]["name"] == "data.csv"
    before = len(lab.folders())
    for content, name, says in (
        (b"x,y\n1,one\n", "mine.csv", "the file"),
        (b"\x89PNG", "mine.csv", "is called .csv and is something else"),
        (CSV, "../../mine.exe", "takes no such file"),
    ):
        answer = laboratory("POST", target, FORM, parts(content, name))
        assert answer.status == 422
        told = re.search(r'id="h-file"><strong class="wrong">(.*?)</strong>', answer.text)[1]
        assert says in told
    assert laboratory("POST", "/studies/pair/runs", FORM, parts(CSV)).status == 422
    assert laboratory("POST", target, FORM, b"--nothing").status == 422
    assert len(lab.folders()) == before


def test_no_file_chosen_is_no_file(laboratory):
    answer = laboratory("POST", "/studies/tiny/runs", FORM, parts(b"", ""))
    assert answer.status == 303
    run = answer.header("location").rpartition("/")[2]
    place = laboratory.house.reading.place(run)
    assert json.loads((place / "plan.json").read_text())["input"] is None


def test_files_are_bounded(laboratory):
    body = parts(np.zeros(uploads.LARGEST + 2**17, dtype=np.uint8).tobytes())
    assert laboratory("POST", "/studies/tiny/runs", FORM, body).status == 413
