"""The text of a page, and what of it is English without saying so."""

import re
from html.parser import HTMLParser

from chymist import catalogue

EXEMPT = {"code", "pre", "math", "style", "script", "cite"}
VOID = {"meta", "link", "input", "img", "br", "hr", "path", "circle", "rect"}
SHOWN = ("aria-label", "title", "alt", "placeholder", "data-label")
NAMES = {
    *("chymist", "bibtex", "adam", "sgd", "barron", "transformer", "logits", "quick", "paper"),
    *("json", "html", "svg", "vega", "lite", "sha", "python", "utc", "csv", "url", "true", "false"),
    *("localhost", "nosuch", "torch", "cpu", "mse"),
}
"""Names and identifiers, which are the same in every language."""


class Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.found = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        outside = self.open[-1][1] if self.open else False
        exempt = tag in EXEMPT or given.get("lang") == "en" or outside
        exempt = exempt or given.get("id") == "story"  # prose, with names as it needs them
        if given.get("lang", "en") != "en":
            exempt = False
        if not exempt:
            self.found += [given[name] for name in SHOWN if given.get(name)]
        if tag not in VOID:
            self.open.append((tag, exempt))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            continue

    def handle_data(self, data):
        if not (self.open and self.open[-1][1]) and data.strip():
            self.found.append(data.strip())


def unmarked(page, shelf=()):
    """Return the texts of a page in another language in which English words are left."""
    reader = Reader()
    reader.feed(page)
    names = NAMES | identifiers(shelf)
    return [
        text
        for text in reader.found
        if {word.lower() for word in re.findall(r"[A-Za-z]{3,}", text)} - names
    ]


def identifiers(shelf):
    """What studies call their presets, parameters, experiments, and themselves."""
    found = set()
    for study in [*shelf, *(catalogue.find(entry.slug) for entry in catalogue.entries())]:
        given = [study.slug, *study.presets, *study.params.model_fields]
        given += study.input.suffixes if study.input else ()
        choices = str(study.params.model_json_schema())
        given += re.findall(r"'([\w+-]+)'", choices)
        given += [experiment.name for experiment in study.experiments]
        given += [claim.name for experiment in study.experiments for claim in experiment.claims]
        found |= {part for name in given for part in re.findall("[a-z]{3,}", name.lower())}
    return found
