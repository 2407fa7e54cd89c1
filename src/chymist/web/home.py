"""The first page: every study with what is known of its claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chymist.catalogue import Entry
from chymist.lab.listed import Listed
from chymist.languages import say
from chymist.questions import QUESTIONS
from chymist.study import FAMILIES
from chymist.web.pages import Served, Static
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

VERDICTS = ("supported", "refuted", "inconclusive", "broken", "none")
LONGEST = 100
"""Letters of a search."""


@dataclass(frozen=True)
class Card:
    """A study on the first page: its newest finished run, and the preset of its evidence."""

    entry: Entry
    verdict: str
    run: Listed | None
    preset: str
    picture: str


def cards(shelf: Shelf, reading: Reading, to: Served | Static) -> list[Card]:
    """Return all studies: with the verdict of the newest run, or else of the evidence."""
    newest = reading.newest() if to.live else {}
    found = []
    for entry in shelf.entries():
        run, presets = newest.get(entry.slug), reading.presets(entry.slug)
        preset = next(iter(presets), "")
        verdict = "none"
        if run is not None:
            verdict = run.verdict
        elif preset:
            verdict = "broken" if presets[preset]["broken"] else str(presets[preset]["status"])
        picture = ""
        if preset:
            study = shelf.study(entry.slug)
            cover = study.cover or study.experiments[0].figures[0].name
            if cover in presets[preset]["figures"]:
                picture = to.picture(entry.slug, preset, cover)
        found.append(Card(entry, verdict, run, preset, picture))
    return found


def context(
    shelf: Shelf,
    reading: Reading,
    to: Served | Static,
    *,
    q: str = "",
    family: str = "",
    verdict: str = "",
    question: str = "",
) -> dict[str, Any]:
    """Return what the first page shows of the studies that fit all that is given."""
    q = q.strip()[:LONGEST]
    every = cards(shelf, reading, to)
    shown = [
        card
        for card in every
        if _fits(card.entry, q.casefold().split())
        and family in ("", card.entry.family)
        and verdict in ("", card.verdict)
        and (not question or question in card.entry.answers)
    ]
    counts = {v: sum(card.verdict == v for card in every) for v in VERDICTS}
    return {
        "groups": _groups(shown),
        "number": len(shown),
        "all": len(every),
        "counts": {name: count for name, count in counts.items() if count},
        "families": [f for f in FAMILIES if any(c.entry.family == f for c in every)],
        "questions": {
            k: v for k, v in QUESTIONS.items() if any(k in c.entry.answers for c in every)
        },
        "asked": {"q": q, "family": family, "verdict": verdict, "question": question},
    }


def _groups(shown: Sequence[Card]) -> list[tuple[str, list[Card]]]:
    grouped = [(f, [card for card in shown if card.entry.family == f]) for f in FAMILIES]
    # A plug-in is not imported for the list, so its family is not known there.
    rest = [card for card in shown if card.entry.family not in FAMILIES]
    return [group for group in [*grouped, ("others", rest)] if group[1]]


def _fits(entry: Entry, words: Sequence[str]) -> bool:
    questions = (QUESTIONS.get(key, "") for key in entry.answers)
    texts = [entry.title, entry.question, entry.family, *questions]
    # A reader searches in either language.
    text = " ".join([entry.slug, *texts, *map(say, texts)]).casefold()
    return all(word in text for word in words)
