"""The table of routes. What is asked for are ids, slugs and fixed names; nothing is a path."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    Response,
)
from starlette.routing import Route

from chymist.errors import (
    CannotWrite,
    ChymistError,
    DamagedRun,
    RunInUse,
    UnknownRun,
    UnknownStudy,
    UsageError,
)
from chymist.lab.layout import is_watched
from chymist.lab.watched import Watched
from chymist.web import (
    choices,
    compare_page,
    downloads,
    home,
    lab_page,
    starting,
    streams,
    study_page,
    uploads,
)
from chymist.web.guard import BROKEN, LARGEST_BODY, TOO_LARGE
from chymist.web.house import House, addresses, answer, given, house_of
from chymist.web.interaction import interactive
from chymist.web.pages import ASSETS, asset
from chymist.web.queue import TooMany

STATUS: dict[type[Exception], int] = {
    UnknownStudy: 404,
    UnknownRun: 404,
    TooMany: 429,
    RunInUse: 409,
    UsageError: 422,
    DamagedRun: 409,
    CannotWrite: 507,
    ChymistError: 500,
}


REFUSALS = {404: "There is no such page.", 405: "That cannot be done here.", 413: TOO_LARGE}
IMPOSSIBLE = "That is not possible."
_FORM = re.compile(r"/studies/[a-z0-9-]+/runs")


class _Id(StringConvertor):
    regex = "[0-9a-z]{26}"


class _Slug(StringConvertor):
    regex = "[a-z0-9]+(?:-[a-z0-9]+)*"


class _File(StringConvertor):
    regex = r"[a-z]+\.[a-z]+"


register_url_convertor("id", _Id())
register_url_convertor("slug", _Slug())
register_url_convertor("file", _File())


def routes() -> list[Route]:
    """Return the table of routes; tests derive their cases from it."""
    return [
        Route("/", show_home),
        Route("/studies/{slug:slug}", show_study),
        Route("/studies/{slug:slug}/compare", compare),
        Route("/studies/{slug:slug}/runs", starting.start, methods=["POST"]),
        Route("/runs", show_lab),
        Route("/runs/{run:id}", show_run),
        Route("/runs/{run:id}/early", show_early),
        Route("/runs/{run:id}/events", streams.follow_run),
        Route("/runs/{run:id}/stop", starting.stop, methods=["POST"]),
        Route("/runs/{run:id}/resume", starting.resume, methods=["POST"]),
        Route("/runs/{run:id}/{file:file}", download),
        Route("/runs/{run:id}/figures/{figure:slug}.json", show_figure),
        Route("/events", streams.follow_queue),
        Route("/evidence/{slug:slug}/{preset:slug}/{figure:slug}.svg", show_picture),
        Route("/evidence/{slug:slug}/{preset:slug}/{figure:slug}.json", show_spec),
        Route("/static/{file:file}", show_asset),
    ]


def largest(path: str) -> int:
    """Return how many bytes a request to this path may carry: files come with a study's form."""
    return LARGEST_BODY + (uploads.LARGEST if _FORM.fullmatch(path) else 0)


def create(house: House) -> Starlette:
    """Return the application, which a guard must stand before."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await house.queue.prepare()
        yield
        await house.queue.close()

    app = Starlette(
        routes=routes(),
        lifespan=lifespan,
        middleware=[Middleware(choices.Choosing)],
        exception_handlers={
            ChymistError: _refuse,
            HTTPException: _missing,
            Exception: _break,
        },
    )
    app.state.house = house
    # An address has one spelling.
    app.router.redirect_slashes = False
    return app


def show_home(request: Request) -> Response:
    """Every study, filtered."""
    house = house_of(request)
    asked = given(request, "q", "family", "verdict", "question")
    context = home.context(house.shelf, house.reading, house.to, **asked)
    return answer(request, "home.html.j2", **context)


def show_study(request: Request) -> Response:
    """A study, at a preset."""
    house = house_of(request)
    preset = given(request, "preset").get("preset", "")
    slug = request.path_params["slug"]
    context = study_page.context(house.shelf, house.reading, house.to, slug, preset)
    return answer(request, "study.html.j2", **context)


def compare(request: Request) -> Response:
    """Runs of a study side by side."""
    house, slug = house_of(request), request.path_params["slug"]
    chosen = request.query_params.getlist("run")
    context = compare_page.context(house.shelf, house.reading, slug, chosen)
    return answer(request, "compare.html.j2", **context)


def show_lab(request: Request) -> Response:
    """Runs, a page at a time."""
    house = house_of(request)
    asked = given(request, "study", "verdict", "sort", "reverse", "page")
    return answer(request, "lab.html.j2", **lab_page.context(house.shelf, house.reading, asked))


def show_run(request: Request) -> Response:
    """A run: its report, or how far it is."""
    house, run = house_of(request), request.path_params["run"]
    page = house.runs.sealed(run, addresses(request))
    if page is None:
        live = house.queue.runs.get(run)
        told = house.queue.told(live) if live else None
        page = house.runs.unfinished(run, told, addresses(request))
    return HTMLResponse(page)


def show_early(request: Request) -> Response:
    """What is known early of a run that is being computed."""
    house = house_of(request)
    return HTMLResponse(house.runs.early(request.path_params["run"], house.to))


def download(request: Request) -> Response:
    """A file of a finished run, by a fixed name."""
    house, run, name = house_of(request), request.path_params["run"], request.path_params["file"]
    if name not in downloads.NAMES:
        raise HTTPException(404)
    folder = house.reading.place(run)
    found = Watched.open(folder) if is_watched(folder) else house.reading.open(run)
    path, kind = downloads.made(found, name)
    called = (
        found.manifest["name"] if isinstance(found, Watched) else found.manifest["study"]["slug"]
    )
    return FileResponse(
        path,
        media_type=kind,
        filename=f"{called}-{run}-{name}",
        background=BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True),
    )


def show_picture(request: Request) -> Response:
    """A figure of the evidence."""
    wanted = request.path_params
    path = house_of(request).reading.picture(wanted["slug"], wanted["preset"], wanted["figure"])
    if path is None:
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type="image/svg+xml")


def show_spec(request: Request) -> Response:
    """What a figure of the evidence is drawn from, made to answer."""
    wanted = request.path_params
    spec = house_of(request).reading.spec(wanted["slug"], wanted["preset"], wanted["figure"])
    if spec is None:
        raise HTTPException(404)
    return JSONResponse(interactive(spec))


def show_figure(request: Request) -> Response:
    """What a figure of a finished run is drawn from, made to answer."""
    wanted = request.path_params
    spec = house_of(request).reading.figure(wanted["run"], wanted["figure"])
    if spec is None:
        raise HTTPException(404)
    return JSONResponse(interactive(spec))


def show_asset(request: Request) -> Response:
    """A style sheet or a script; its address changes with its content."""
    name = request.path_params["file"]
    if name not in ASSETS:
        raise HTTPException(404)
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(asset(name), media_type=ASSETS[name][2], headers=kept)


def _refuse(request: Request, error: Exception) -> Response:
    """Say in one line what the user can do something about."""
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    return _trouble(request, status, str(error))


def _missing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _trouble(request, status, REFUSALS.get(status, IMPOSSIBLE))


def _break(request: Request, error: Exception) -> Response:
    """Answer after a bug; the error goes on to the guard, which shows it in the terminal."""
    return _trouble(request, 500, BROKEN)


def _trouble(request: Request, status: int, says: str) -> Response:
    return answer(request, "trouble.html.j2", status=status, says=says)
