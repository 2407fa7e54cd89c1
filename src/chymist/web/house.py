"""What a server has, and what of it a request asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from chymist.web import choices
from chymist.web.pace import Pace
from chymist.web.pages import Served, render
from chymist.web.queue import Queue
from chymist.web.reading import Reading
from chymist.web.run_page import RunPages
from chymist.web.shelf import Shelf


@dataclass
class House:
    """What a server has: studies, a lab, evidence, runs that wait, and a pace for new ones."""

    shelf: Shelf
    reading: Reading
    queue: Queue
    threads: int
    pace: Pace = field(default_factory=Pace)
    to: Served = field(default_factory=Served)

    def __post_init__(self) -> None:
        self.runs = RunPages(self.reading)
        self.queue.ended = self.reading.look_again


def house_of(request: Request) -> House:
    """Return what the server has that is asked."""
    house: House = request.app.state.house
    return house


def addresses(request: Request) -> Served:
    """Return the addresses as the page that is asked for has them.

    What was sent to an address that only takes what is sent is answered by the page above it.
    """
    path = request.url.path
    if request.method not in ("GET", "HEAD"):
        path = path.rpartition("/")[0] or "/"
    query = tuple(request.query_params.multi_items())
    theme = choices.theme(request.headers)
    return replace(house_of(request).to, path=path, query=query, theme=theme)


def given(request: Request, *names: str) -> dict[str, str]:
    """Return what the query gives of these names, each once."""
    return {name: request.query_params[name] for name in names if name in request.query_params}


def answer(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page as the one who asks wants it, with the runs that wait or are computed."""
    house = house_of(request)
    active = [house.queue.told(live) for live in house.queue.active()]
    page = render(template, addresses(request), active=active, **context)
    return HTMLResponse(page, status_code=status)
