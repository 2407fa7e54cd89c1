"""What a reader has chosen, language and theme, kept in two cookies.

`?lang=` or `?theme=` at any address chooses: the answer keeps the choice and leads to the same
address without it. A reader who has not chosen gets what the browser asks for: a language by its
`Accept-Language`, light or dark by its own setting.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chymist import languages

THEMES = ("light", "dark")
ALLOWED = {"lang": (*languages.LANGUAGES,), "theme": ("auto", *THEMES)}
COOKIES = {"lang": "chymist-language", "theme": "chymist-theme"}
KEPT = 365 * 24 * 3600
"""Seconds for which a browser keeps a choice."""


def language(headers: Headers) -> str:
    """Return the language that a reader has chosen, or else the browser's."""
    chosen = _kept(headers, "lang")
    return chosen or languages.preferred(headers.get("accept-language", ""))


def theme(headers: Headers) -> str:
    """Return light or dark if the reader has chosen; empty if the system is to."""
    chosen = _kept(headers, "theme")
    return chosen if chosen in THEMES else ""


class Choosing:
    """Stands before the application and takes choices out of addresses."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep a choice that the address makes, or let the request pass."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        chosen = {name: value for name, value in asked if value in ALLOWED.get(name, ())}
        if not chosen:
            await self.app(scope, receive, send)
            return
        rest = urlencode([(name, value) for name, value in asked if name not in chosen])
        # One slash at the start: two would name a host.
        path = "/" + quote(scope["path"].lstrip("/\\"), safe="/")
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, status_code=303)
        for name, value in chosen.items():
            # A page's own script changes the theme without loading the page again.
            own = name != "theme"
            answer.set_cookie(COOKIES[name], value, KEPT, httponly=own, samesite="strict")
        await answer(scope, receive, send)


def _kept(headers: Headers, name: str) -> str:
    for cookies in headers.getlist("cookie"):
        value = cookie_parser(cookies).get(COOKIES[name], "")
        if value in ALLOWED[name]:
            return value
    return ""
