"""Markdown with formulas between dollar signs, as HTML with MathML: no script, no web fonts.

Everything that a writer gives is text. Raw HTML is shown as it was typed, pictures are not loaded,
and a formula may use only the elements and attributes of MathML that typeset it.
"""

from __future__ import annotations

import html
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

_ARITY = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "mroot": 2,
          "msubsup": 3, "munderover": 3}  # fmt: skip
_ELEMENTS = {
    *_ARITY,
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "mtext",
    "mspace",
    "ms",
    "mstyle",
    "msqrt",
    "mpadded",
    "mphantom",
    "mtable",
    "mtr",
    "mtd",
    "menclose",
    "mmultiscripts",
}
_ATTRIBUTES = {
    "display",
    "stretchy",
    "fence",
    "form",
    "accent",
    "separator",
    "lspace",
    "rspace",
    "width",
    "height",
    "depth",
    "voffset",
    "linethickness",
    "displaystyle",
    "scriptlevel",
    "mathvariant",
    "minsize",
    "maxsize",
    "movablelimits",
    "largeop",
}
_STYLES = {
    "bold": "BOLD",
    "bold-italic": "BOLD ITALIC",
    "script": "SCRIPT",
    "bold-script": "BOLD SCRIPT",
    "fraktur": "FRAKTUR",
    "bold-fraktur": "BOLD FRAKTUR",
    "double-struck": "DOUBLE-STRUCK",
    "sans-serif": "SANS-SERIF",
    "monospace": "MONOSPACE",
}
# What latex2mathml does not know, in terms of what it does.
_SYNONYMS = (
    (re.compile(r"\\(begin|end)\{(?:aligned|gathered)\}"), r"\\\1{split}"),
    (re.compile(r"\\operatorname\*"), r"\\operatorname"),
    (re.compile(r"\\arg(?![A-Za-z])"), r"\\operatorname{arg}"),
)


def mathml(latex: str, display: Literal["inline", "block"] = "inline") -> str:
    r"""Return a formula as a MathML element.

    Raises:
        ValueError: the formula has an unknown command or does not parse.

    >>> mathml("k^2")
    '<math display="inline"><mrow><msup><mi>k</mi><mn>2</mn></msup></mrow></math>'
    """
    source = latex.strip()
    for pattern, replacement in _SYNONYMS:
        source = pattern.sub(replacement, source)
    try:
        # The element and not its text: latex2mathml's own text leaves `<` and `&` unescaped.
        root = convert_to_element(source, display=display)
    except Exception as error:
        raise ValueError(f"cannot read the formula {latex}: {error!r}") from error
    _clean(root, latex)
    root.attrib.pop("xmlns", None)
    return ET.tostring(root, encoding="unicode")


def _clean(element: ET.Element, latex: str) -> None:
    """Keep what typesets; put operators, alphabets and alignment where browsers look for them."""
    text = html.unescape(element.text or "")
    if text.startswith("\\") and element.tag != "mtext":
        raise ValueError(f"unknown command {text} in the formula {latex}")
    if len(element) != _ARITY.get(element.tag, len(element)):
        raise ValueError(f"an argument is missing in the formula {latex}")
    if element.tag not in _ELEMENTS:
        element.tag = "mrow"
    if element.tag == "mi" and len(text) == 1 and unicodedata.category(text)[0] in "SP":
        element.tag = "mo"
    if element.tag == "mo" and text in ("|", "‖") and "form" not in element.attrib:
        # An ordinary symbol, as in TeX: on which side of a norm it stands cannot be told.
        element.attrib |= {"lspace": "0", "rspace": "0", "stretchy": "false"}
    align = element.get("columnalign") if element.tag == "mtd" else None
    style = _STYLES.get(element.get("mathvariant", ""))
    if style:
        text = "".join(_styled(c, style) for c in text)
        del element.attrib["mathvariant"]
    for name in set(element.attrib) - _ATTRIBUTES:
        del element.attrib[name]
    if align in ("left", "right"):
        element.set("class", align)
    element.text = text or None
    for child in element:
        _clean(child, latex)


def _styled(letter: str, style: str) -> str:
    """Return a letter of another alphabet: MathML in browsers knows alphabets by code point."""
    words = unicodedata.name(letter, "").removeprefix("LATIN ").removeprefix("GREEK ")
    name = words.replace("LETTER ", "")
    older = style.replace("FRAKTUR", "BLACK-LETTER")
    for candidate in (f"MATHEMATICAL {style} {name}", f"{older} {name}"):
        try:
            return unicodedata.lookup(candidate)
        except KeyError:
            continue
    return letter


def _shown(latex: str, options: dict[str, Any]) -> str:
    """Typeset a formula; show its source where it cannot be read."""
    try:
        return mathml(latex, "block" if options.get("display_mode") else "inline")
    except ValueError:
        return str(Markup("<code class='unread'>{}</code>").format(latex))


def _formulas(reader: MarkdownIt) -> MarkdownIt:
    return reader.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        double_inline=True,
        renderer=_shown,
    )


@cache
def _pages() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "typographer": True})
    return _formulas(reader.enable(["table", "smartquotes"]).disable("image"))


@cache
def _lines() -> MarkdownIt:
    return _formulas(MarkdownIt("zero", {"typographer": True}).enable(["backticks", "smartquotes"]))


def page(markdown: str) -> Markup:
    r"""Render Markdown with formulas; its headings start at the third level.

    Links lead to other sites. What links to a file beside the text is plain text here: a page is
    one file, and nothing is beside it.

    >>> page("Slope $-1$ <b>")
    Markup('<p>Slope <math ...</math> &lt;b&gt;</p>\n')
    """
    reader = _pages()
    tokens = reader.parse(markdown)
    headings = [t for t in tokens if t.type in ("heading_open", "heading_close")]
    shift = 3 - min((int(t.tag[1:]) for t in headings), default=3)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1:]) + shift)}"
    for token in tokens:
        _unlink_neighbours(token)
    return Markup(_html(reader, tokens))  # noqa: S704  the reader escapes what is not its own


def _unlink_neighbours(token: Token) -> None:
    """Drop links, which cannot be nested, that lead to no other site; keep their words."""
    kept, beside = [], False
    for child in token.children or ():
        if child.type == "link_open":
            beside = not re.match(r"https?://", str(child.attrs["href"]))
        if not (beside and child.type in ("link_open", "link_close")):
            kept.append(child)
    if token.children:
        token.children = kept


def links(markdown: str) -> list[str]:
    """Return where the links of a text lead.

    >>> links("[one](a.md), <https://arxiv.org/abs/1901.06523>")
    ['a.md', 'https://arxiv.org/abs/1901.06523']
    """
    tokens = _every(_pages().parse(markdown))
    return [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]


def sections(markdown: str) -> dict[str, str]:
    r"""Return the text under each heading of the second level.

    >>> sections("## One\n\na\n\n## Two\n\nb")
    {'One': 'a', 'Two': 'b'}
    """
    lines = markdown.splitlines()
    tokens = _pages().parse(markdown)
    starts = [
        (token.map or [0, 0], tokens[place + 1].content)
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2"
    ]
    ends = [span[0] for span, _ in starts[1:]] + [len(lines)]
    return {
        title: "\n".join(lines[span[1] : end]).strip()
        for (span, title), end in zip(starts, ends, strict=True)
    }


def line(text: str) -> Markup:
    """Render one line in which only formulas and `code` are special.

    >>> line("a*b*c & d")
    Markup('a*b*c &amp; d')
    """
    reader = _lines()
    return Markup(_html(reader, reader.parseInline(" ".join(text.split()))))  # noqa: S704


def plain(text: str) -> str:
    """Return one line without dollar signs and backticks, for a title or an alternative text.

    >>> plain("the mode $k$ of `f`")
    'the mode k of f'
    """
    tokens = _lines().parseInline(" ".join(text.split()))
    return "".join(child.content for token in tokens for child in token.children or ())


def unread(markdown: str) -> list[str]:
    r"""Return what is wrong with the formulas of a text: empty if all can be typeset.

    >>> unread(r"$\nosuch{x}$ and $y$")
    ['unknown command \\nosuch in the formula \\nosuch{x}']
    """
    wrong = []
    for token in _every(_pages().parse(markdown)):
        if token.type.startswith("math"):
            try:
                mathml(token.content)
            except ValueError as error:
                wrong.append(str(error))
    return wrong


def _every(tokens: Sequence[Token]) -> list[Token]:
    return [t for token in tokens for t in (token, *_every(token.children or ()))]


def _html(reader: MarkdownIt, tokens: Sequence[Token]) -> str:
    text = str(reader.renderer.render(tokens, reader.options, {}))
    # The plug-in wraps formulas in elements that may not stand inside a paragraph.
    text = re.sub(r'<span class="math inline">(.*?)</span>', r"\1", text, flags=re.S)
    return re.sub(r'<div class="math inline">(.*?)</div>', r"\1", text, flags=re.S)


__all__ = ["line", "links", "mathml", "page", "plain", "sections", "unread"]
