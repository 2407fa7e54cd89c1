"""Who may ask at all: the one reader who has the token, from a page of this server.

A web page elsewhere can make a browser send requests to this machine. So every request must name
a loopback host (a foreign name that was pointed here does not), and carry the token as a cookie
that browsers send from our own pages alone; one that changes something must come from such a page,
too. Answers forbid scripts but ours, frames, and guessing of types.
"""

from __future__ import annotations

import html
import logging
import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chymist.languages import TAGS, current, say, speaking
from chymist.web import choices

log = logging.getLogger("chymist.web")
TOO_LARGE = "That is larger than what this server takes."
BROKEN = "Something is wrong in chymist itself; the terminal of the server shows what."
NAMES = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")
LONGEST_TARGET = 2000
"""Bytes of path and query."""
LARGEST_BODY = 64 * 2**10
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it, browsers send forms with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class TooLong(HTTPException):
    """A body is larger than this server takes."""

    def __init__(self) -> None:
        super().__init__(413, TOO_LARGE)


class Guard:
    """Stands before the application and answers itself what must not reach it.

    `cookie` names the cookie; browsers share cookies between the ports of a host, so it differs
    from server to server. `largest` says how many bytes a request to this path may carry.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        cookie: str,
        largest: Callable[[str], int] = lambda path: LARGEST_BODY,
    ) -> None:
        self.app, self.token, self.cookie, self.largest = app, token, cookie, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        with speaking(choices.language(headers)):
            await self._received(scope, receive, send, headers)

    async def _received(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        status, says = self._objection(scope, headers)
        if status:
            await _answer(send, scope, status, says)
            return
        if scope["path"] == "/" and self._offered(scope):
            await self._admit(scope, send)
            return
        if not self._known(headers):
            says = say("Open the link that chymist serve printed when it was started.")
            await _answer(send, scope, 401, says)
            return

        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _protect(message)
            await send(message)

        try:
            await self.app(scope, self._bounded(scope, receive), guarded)
        except Exception as error:  # a bug: its trace is for the terminal, not for the page
            log.error("%s %s", scope["method"], scope["path"], exc_info=error)
            if not begun:
                await _answer(send, scope, 500, say(BROKEN))

    def _objection(self, scope: Scope, headers: Headers) -> tuple[int, str]:
        """Say why a request is answered here, whoever sent it; 0 if it may go on."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not _is_loopback(hosts[0]):
            return 421, say("This server answers to 127.0.0.1 and localhost alone.")
        length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length > LONGEST_TARGET:
            return 414, say("That address is too long.")
        if not scope["path"].isprintable():
            return 404, say("There is no such page.")
        site, mode = headers.get("sec-fetch-site", ""), headers.get("sec-fetch-mode", "")
        foreign = site in ("cross-site", "same-site")
        if scope["method"] in READING:
            if foreign and mode != "navigate":
                return 403, say("Other sites may not read here.")
            return 0, ""
        if foreign or headers.getlist("origin") != [f"http://{hosts[0]}"]:
            return 403, say("Only a page of this server may ask for that.")
        declared = headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit():
            return 400, say("That request states no length.")
        if int(declared) > self.largest(scope["path"]):
            return 413, say(TOO_LARGE)
        return 0, ""

    def _offered(self, scope: Scope) -> bool:
        """Whether the address itself carries the token, as the printed link does."""
        given = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return scope["method"] == "GET" and self._fits(given.get("token", ""))

    def _known(self, headers: Headers) -> bool:
        return any(
            self._fits(cookie_parser(cookies).get(self.cookie, ""))
            for cookies in headers.getlist("cookie")
        )

    def _fits(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    async def _admit(self, scope: Scope, send: Send) -> None:
        # Not a redirect: after a link on another site, it would be followed without the cookie.
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        tag = TAGS[current()]
        page = (
            f'<!DOCTYPE html><html lang="{tag}"><head><meta charset="utf-8"><title>chymist</title>'
            '<meta http-equiv="refresh" content="0;url=/"></head>'
            '<body><p><a href="/">chymist</a></p></body></html>'
        )
        await _send(send, scope, 200, page, {"set-cookie": cookie})

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Count what comes: a stated length is only a statement, and there may be none."""
        left = self.largest(scope["path"])

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise TooLong
            return message

        return bounded


def _is_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine, with a port or without.

    >>> [_is_loopback(h) for h in ("localhost:8765", "127.0.0.1", "localhost.evil.org", "[::1]:x")]
    [True, True, False, False]
    """
    name = next((name for name in NAMES if host == name or host.startswith(f"{name}:")), None)
    if name is None:
        return False
    port = host[len(name) + 1 :]
    return host == name or (port.isascii() and port.isdigit() and len(port) <= 5)


def _protect(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


async def _answer(send: Send, scope: Scope, status: int, says: str) -> None:
    page = (
        f'<!DOCTYPE html><html lang="{TAGS[current()]}" style="color-scheme:light dark"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>chymist</title></head><body style="font:1.1rem/1.6 sans-serif;max-width:38rem;'
        f'margin:4rem auto;padding:0 1.2rem"><main><h1>chymist</h1><p>{html.escape(says)}</p>'
        "</main></body></html>"
    )
    await _send(send, scope, status, page, {"connection": "close"})


async def _send(send: Send, scope: Scope, status: int, page: str, further: dict[str, str]) -> None:
    body = page.encode()
    start: Message = {"type": "http.response.start", "status": status, "headers": []}
    headers = MutableHeaders(scope=start)
    headers["content-type"] = "text/html; charset=utf-8"
    headers["content-length"] = str(len(body))
    for name, value in further.items():
        headers[name] = value
    _protect(start)
    await send(start)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
