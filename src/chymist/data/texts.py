"""Texts as arrays of symbols, with the words' beginnings that their spaces tell."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Bool, Int
from numpy import ndarray

from chymist.data.given_text import readable
from chymist.errors import BadInput

END, SPACE, NOTHING = -1, -2, -3
"""A boundary that is kept; what stands between words; what stands inside words and is dropped."""
ENDS = frozenset(".!?;:。！？；：…।॥؟۔")
DROPPED = frozenset("'’ʼ\u00ad\u200c\u200d\ufeff")
LARGEST = 2**30
FEWEST = 2000
"""Fewest letters of a text that words can be looked for in."""
OUTSIDE = ("site-packages", "dist-packages", "test", "idlelib", "lib2to3")
"""Folders of the library whose docstrings are not taken."""
CHUNK = 2**22
NEWLINE = 10


@dataclass(frozen=True, eq=False)
class Letters:
    """A text without its spaces: symbols from 0, END at boundaries, and where words began.

    `letters` are the characters of the symbols, in the order of their code points.
    """

    text: Int[ndarray, " symbol"]
    words: Bool[ndarray, " symbol"]
    letters: str

    def block(self, number: int, size: int) -> Letters:
        """Return the block of this number of the blocks of so many symbols, boundaries included."""
        part = slice(number * size, (number + 1) * size)
        seen, place = np.unique(self.text[part], return_inverse=True)
        text = (place.reshape(-1) - int(seen[0] < 0)).astype(np.int32)
        words = self.words[part].copy()
        words[0] |= bool(text[0] >= 0)
        return Letters(text, words, "".join(self.letters[s] for s in seen if s >= 0))


def letters(content: bytes | Iterable[bytes], *, ends: bool = True) -> Letters:
    """Take the letters of UTF-8 text, of any script, and note where words began.

    Letters and the marks that combine with them count, in lower case; apostrophes are dropped and
    all else stands between words. Ends of sentences (. ! ? ; : and their like) and blank lines stay
    as boundaries unless `ends` is false. Read in chunks: 5 bytes a letter are kept.

    Raises:
        BadInput: not UTF-8, binary, or fewer than 2000 letters.

    >>> found = letters(b"It's a man. " * 1000)
    >>> found.letters, found.text[:9].tolist(), found.words[:6].tolist()
    ('aimnst', [1, 5, 4, 0, 2, 0, 3, -1, 1], [True, False, False, True, True, False])
    """
    classes = np.full(0x110000, NOTHING, dtype=np.int32)
    known = np.zeros(0x110000, dtype=bool)
    texts, words = [], []
    before, last = END, NEWLINE
    for codes in _codes([content] if isinstance(content, bytes) else content):
        fresh = np.zeros(0x110000, dtype=bool)
        fresh[codes] = True
        for code in np.flatnonzero(fresh & ~known).tolist():
            classes[code] = _class(chr(code))
        known |= fresh
        kinds = classes[codes]
        if ends:
            blank = (codes == NEWLINE) & (np.concatenate([[last], codes[:-1]]) == NEWLINE)
            kinds[blank] = END
            last = int(codes[-1]) if len(codes) else last
        else:
            kinds[kinds == END] = SPACE
        kinds = kinds[kinds != NOTHING]
        if not len(kinds):
            continue
        start = np.concatenate([[before], kinds[:-1]]) < 0
        keep = kinds > SPACE
        texts.append(kinds[keep])
        words.append((start & (kinds >= 0))[keep])
        before = int(kinds[-1])
    text = np.concatenate(texts) if texts else np.empty(0, dtype=np.int32)
    seen = np.zeros(0x110000, dtype=bool)
    seen[text[text >= 0]] = True
    if (count := int((text >= 0).sum())) < FEWEST:
        raise BadInput(f"the text has {count} letters", f"at least {FEWEST} are needed")
    name = np.cumsum(seen, dtype=np.int32) - 1
    for first in range(0, len(text), CHUNK):
        part = text[first : first + CHUNK]
        part[:] = np.where(part >= 0, name[part], END)
    alphabet = "".join(map(chr, np.flatnonzero(seen).tolist()))
    return Letters(text, np.concatenate(words), alphabet)


def text(path: Path | str) -> xr.Dataset:
    """Read a UTF-8 text as the variable `text` [byte], as it is.

    A file whose name ends in .pos has word/TAG pairs between spaces (People's Daily, 1998): its
    tags, the brackets around compounds and each line's date are dropped, the words kept apart.

    Raises:
        BadInput: no such file, over 1 GiB, not UTF-8, binary, or fewer than 2000 letters.
    """
    path = Path(path)
    content, count = _read(path)
    if count < FEWEST:
        raise BadInput(f"{path.name} has {count} letters", f"at least {FEWEST} are needed")
    return _dataset(content, path.name).assign_attrs(name=path.stem)


def joined_texts(paths: Sequence[Path]) -> xr.Dataset:
    """Read several texts as one, in the order given: see `text`.

    Blank lines part them, so that no word goes on from one into the next.

    Raises:
        BadInput: one cannot be read (it is named), they are over 1 GiB together, or have fewer than
            2000 letters.
    """
    parts, size, letters = [], 0, 0
    for path in paths:
        content, count = _read(path)
        size, letters = size + len(content), letters + count
        if size > LARGEST:
            raise BadInput(f"the {len(paths)} texts have more than {LARGEST} bytes", "take fewer")
        parts.append(content)
    if letters < FEWEST:
        raise BadInput(f"the {len(paths)} texts have {letters} letters",
                       f"at least {FEWEST} are needed")  # fmt: skip
    return _dataset(b"\n\n".join(parts), f"{len(paths)} files")


def _read(path: Path) -> tuple[bytes, int]:
    """Return what a file holds, tags taken away, and the number of its letters."""
    with readable(path, LARGEST, "divide it"):
        content = path.read_bytes()
    try:
        if path.suffix.lower() == ".pos":
            content = untagged(b"".join(_valid([content])).decode()).encode()
        return content, sum(_letter_count(codes) for codes in _codes([content]))
    except BadInput as error:
        raise BadInput(f"{path.name}: {error.message}", error.hint) from None


def _dataset(content: bytes, name: str) -> xr.Dataset:
    data = xr.Dataset({"text": ("byte", np.frombuffer(content, dtype=np.uint8))})
    data["text"].attrs = {"long_name": f"text of {name}, UTF-8", "units": "1"}
    return data


def untagged(tagged: str) -> str:
    """Return the words of word/TAG pairs, parted by spaces; a date that heads a line is dropped.

    >>> untagged("19980101-01-001/m  [中央/n  电台/n]nt  。/w")
    '中央 电台 。'
    """
    lines = []
    for line in tagged.splitlines():
        pairs = line.split()
        if pairs and pairs[0].endswith("/m") and pairs[0].count("-") >= 2:
            pairs = pairs[1:]
        lines.append(" ".join(p.lstrip("[").rpartition("/")[0] or p for p in pairs))
    return "\n".join(lines)


def english() -> bytes:
    """Return the English that Python carries: topics of its `help()`, its library's docstrings.

    Grammar and sessions of the interpreter are left out.
    About 2 MB, 1.4 million letters; it differs a little from one version of Python to the next.
    """
    from pydoc_data.topics import topics

    parts = [topics[name] for name in sorted(topics)]
    library = Path(os.__file__).parent
    files = [*library.glob("*.py"), *library.glob("[a-z]*/*.py")]
    inside = {f.relative_to(library).as_posix(): f for f in files}
    for name in sorted(inside):
        if name.partition("/")[0] not in OUTSIDE:
            source = inside[name].read_text(encoding="utf-8", errors="ignore")
            found = re.findall(r'"""(.*?)"""', source, re.DOTALL)
            parts += [text for text in found if ">>>" not in text]
    lines = "\n\n".join(parts).splitlines()
    return "\n".join(line for line in lines if "::=" not in line and ">>>" not in line).encode()


def zipf_text(
    kinds: int, tokens: int, alphabet: int, generator: np.random.Generator
) -> tuple[Letters, list[str]]:
    """Draw words independently from a lexicon of random strings; return the text and the lexicon.

    The word of rank r has probability in proportion to 1 / r; words have 2 to 8 letters, all
    letters as likely, no two words alike. It has no boundary that is given.
    """
    lexicon: dict[str, None] = {}
    while len(lexicon) < kinds:
        size = int(generator.integers(2, 9))
        lexicon["".join(chr(97 + c) for c in generator.integers(alphabet, size=size))] = None
    words = list(lexicon)
    chance = 1 / np.arange(1, kinds + 1)
    drawn = generator.choice(kinds, tokens, p=chance / chance.sum())
    length = np.array([len(w) for w in words])[drawn]
    joined = "".join(words[i] for i in drawn.tolist())
    starts = np.zeros(int(length.sum()), dtype=bool)
    starts[np.cumsum(length) - length] = True
    codes = np.frombuffer(joined.encode(), dtype=np.uint8).astype(np.int32) - 97
    return Letters(codes, starts, "".join(chr(97 + c) for c in range(alphabet))), words


def written(found: Letters, starts: Bool[ndarray, " symbol"]) -> Iterator[str]:
    """Write a text with a space before each token and a new line at each boundary, in chunks."""
    points = np.array([ord(c) for c in found.letters], dtype=np.uint32)
    for first in range(0, len(found.text), CHUNK):
        part = found.text[first : first + CHUNK]
        before = found.text[first - 1] if first else END
        after_end = np.concatenate([[before], part[:-1]]) < 0
        space = starts[first : first + CHUNK] & ~after_end & (part >= 0)
        size = 1 + space
        place = np.cumsum(size) - 1
        out = np.full(int(size.sum()), ord(" "), dtype=np.uint32)
        out[place] = np.where(part >= 0, points[part], NEWLINE)
        # One new line for boundaries in a row.
        keep = np.ones(len(out), dtype=bool)
        keep[place[(part < 0) & after_end]] = False
        yield out[keep].astype("<u4").tobytes().decode("utf-32-le")


def _codes(content: Iterable[bytes]) -> Iterator[Int[ndarray, " character"]]:
    for valid in _valid(content):
        yield np.frombuffer(valid.decode().encode("utf-32-le"), dtype=np.uint32).astype(np.int32)


def _valid(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content in chunks that end between characters."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = 0
    for part in content:
        for first in range(0, len(part), CHUNK):
            chunk = part[first : first + CHUNK]
            if b"\0" in chunk:
                raise BadInput(f"byte {read + chunk.index(0)} is zero: no text, or UTF-16",
                               "give a UTF-8 text; iconv -f UTF-16 -t UTF-8 converts")  # fmt: skip
            try:
                found = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise BadInput(f"not UTF-8 (near byte {read + error.start})",
                               "convert it, as by iconv -f GB18030 -t UTF-8") from None  # fmt: skip
            read += len(chunk)
            yield found.encode()
    if decoder.getstate()[0]:
        raise BadInput(f"not UTF-8 (cut short at byte {read})", "save it again as UTF-8")


def _letter_count(codes: Int[ndarray, " character"]) -> int:
    seen = np.bincount(codes)
    found = np.flatnonzero(seen)
    return int(sum(seen[c] for c in found.tolist() if _class(chr(c)) >= 0))


def _class(character: str) -> int:
    if character in DROPPED:
        return NOTHING
    if unicodedata.category(character)[0] in "LM":
        lower = character.lower()
        return ord(lower if len(lower) == 1 else character)
    return END if character in ENDS else SPACE
