import numpy as np
import pytest

from chymist import data
from chymist.data import texts
from chymist.errors import BadInput


def shown(found):
    return "".join(data.written(found, found.words))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("The Dog's tail. It wags!", "the dogs tail\nit wags\n"),
        ("你好 世界。再 见", "你好 世界\n再 见\n"),
        ("सत्य मेव। जयते", "सत्य मेव\nजयते\n"),
        ("x1y2 z\n\nnew-line", "x y z\nnew line\n"),
        ("Привет, мир", "привет мир\n"),
    ],
)
def test_letters_of_any_script_and_their_words(content, words):
    repeats = 1000
    found = data.letters((content + ".").encode() * repeats)
    assert shown(found) == words * repeats
    assert found.letters == "".join(sorted(set(words) - set(" \n")))


def test_ends_can_be_dropped():
    found = data.letters(b"One two. Three. " * 500, ends=False)
    assert (found.text >= 0).all()
    assert shown(found).startswith("one two three one")


def test_chunks_change_nothing(monkeypatch):
    content = "Ein Übel. 世界 ist's,\n\nà la carte… ".encode() * 300
    whole = data.letters(content)
    monkeypatch.setattr(texts, "CHUNK", 101)
    parts = data.letters([content[:5000], content[5000:]])
    assert shown(parts) == shown(whole)


def test_a_block_has_its_own_symbols():
    whole = data.letters(b"aa bb. " * 600 + b"xx yy. " * 600)
    block = whole.block(1, len(whole.text) // 2)
    assert block.letters == "xy"
    assert shown(block).startswith("xx yy\nxx yy\n")


def test_a_text_is_read_as_it_is(tmp_path):
    path = tmp_path / "t.txt"
    content = "Ça va? " * 800
    path.write_text(content, encoding="utf-8")
    assert data.text(path).text.values.tobytes().decode() == content


def test_tags_are_dropped(tmp_path):
    path = tmp_path / "t.pos"
    line = "19980101-01-001/m  [中央/n  电台/n]nt  。/w  １/m 张/q\n"
    path.write_text(line * 800, encoding="utf-8")
    assert data.text(path).text.values.tobytes().decode().splitlines()[0] == "中央 电台 。 １ 张"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"few letters", "has 10 letters"),
        (b"text " * 900 + b"\0", "byte 4500 is zero"),
        (b"text " * 900 + b"\xff\xfe", "not UTF-8"),
        (b"text " * 900 + "é".encode()[:1], "cut short"),
        ("中文 ".encode("gb18030") * 900, "not UTF-8"),
        (("ab " * 900).encode("utf-16-le"), "zero"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, says):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=says) as refused:
        data.text(path)
    assert "bad.txt" in str(refused.value)
    assert refused.value.hint


def test_a_file_that_is_not_there_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="no file"):
        data.text(tmp_path / "absent.txt")
    path = tmp_path / "large.txt"
    path.write_text("word " * 900)
    monkeypatch.setattr(texts, "LARGEST", 1000)
    with pytest.raises(BadInput, match="4500 bytes"):
        data.text(path)


def test_python_carries_english():
    found = data.letters(data.english(), ends=False)
    assert (found.text >= 0).sum() > 1_000_000
    assert 3.5 < (found.text >= 0).sum() / found.words.sum() < 6


def test_zipf_text_is_drawn_from_its_lexicon():
    found, words = data.zipf_text(50, 4000, 5, np.random.default_rng(0))
    drawn = shown(found).split()
    assert len(drawn) == 4000
    assert set(drawn) <= set(words)
    assert len(set(words)) == 50
    most = drawn.count(words[0]) / 4000
    assert most == pytest.approx(1 / (1 / np.arange(1, 51)).sum(), abs=0.03)


def test_several_texts_are_one_in_which_no_word_goes_on(tmp_path):
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_text("one two " * 300 + "end", encoding="utf-8")
    second.write_text("begin " * 300, encoding="utf-8")
    found = data.joined_texts([first, second])
    assert "name" not in found.attrs
    shown_text = shown(data.letters(found.text.values.tobytes()))
    assert "end\nbegin" in shown_text


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (b"few", "the 2 texts have 13 letters"),
        (b"\xff\xfe" * 900, r"2\.txt: not UTF-8"),
        (b"text " * 900 + b"\0", r"2\.txt: byte 4500 is zero"),
    ],
)
def test_texts_that_cannot_be_one_are_refused(tmp_path, second, says):
    (tmp_path / "1.txt").write_bytes(b"few letters")
    (tmp_path / "2.txt").write_bytes(second)
    with pytest.raises(BadInput, match=says):
        data.joined_texts([tmp_path / "1.txt", tmp_path / "2.txt"])


def test_texts_are_bounded_together(tmp_path, monkeypatch):
    path = tmp_path / "1.txt"
    path.write_bytes(b"some words " * 300)
    monkeypatch.setattr(texts, "LARGEST", 5000)
    with pytest.raises(BadInput, match="the 2 texts have more than 5000 bytes"):
        data.joined_texts([path, path])
