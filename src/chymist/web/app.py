"""The table of routes. What is asked for are ids, slugs and fixed names; nothing is a path."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from chymist.errors import (
    BadInput,
    BadParameter,
    CannotWrite,
    ChymistError,
    DamagedRun,
    RunInUse,
    UnknownRun,
    UnknownStudy,
    UsageError,
)
from chymist.lab import runner
from chymist.lab.chunk import read_seals
from chymist.lab.layout import is_watched
from chymist.lab.plan import chunks_of, read_plan
from chymist.lab.watched import Watched
from chymist.study import Study
from chymist.web import choices, compare_page, downloads, forms, home, lab_page, study_page, uploads
from chymist.web.guard import BROKEN, LARGEST_BODY, TOO_LARGE, TooLong
from chymist.web.interaction import interactive
from chymist.web.pace import Pace
from chymist.web.pages import ASSETS, Served, asset, render
from chymist.web.queue import Live, Queue, TooMany
from chymist.web.reading import Reading
from chymist.web.run_page import RunPages
from chymist.web.shelf import Shelf
from chymist.web.trace import Seen

BEAT = 15.0
"""Seconds after which a stream says that it is still there."""
FASTEST = 0.2
"""Seconds between two messages of a stream."""
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


def routes() -> list[Route]:
    """Return the table of routes; tests derive their cases from it."""
    return [
        Route("/", show_home),
        Route("/studies/{slug:slug}", show_study),
        Route("/studies/{slug:slug}/compare", compare),
        Route("/studies/{slug:slug}/runs", start, methods=["POST"]),
        Route("/runs", show_lab),
        Route("/runs/{run:id}", show_run),
        Route("/runs/{run:id}/early", show_early),
        Route("/runs/{run:id}/events", follow_run),
        Route("/runs/{run:id}/stop", stop, methods=["POST"]),
        Route("/runs/{run:id}/resume", resume, methods=["POST"]),
        Route("/runs/{run:id}/{file:file}", download),
        Route("/runs/{run:id}/figures/{figure:slug}.json", show_figure),
        Route("/events", follow_queue),
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
    house = _house(request)
    asked = _asked(request, "q", "family", "verdict", "question")
    context = home.context(house.shelf, house.reading, house.to, **asked)
    return _page(request, "home.html.j2", **context)


def show_study(request: Request) -> Response:
    """A study, at a preset."""
    house = _house(request)
    preset = _asked(request, "preset").get("preset", "")
    slug = request.path_params["slug"]
    context = study_page.context(house.shelf, house.reading, house.to, slug, preset)
    return _page(request, "study.html.j2", **context)


def compare(request: Request) -> Response:
    """Runs of a study side by side."""
    house, slug = _house(request), request.path_params["slug"]
    chosen = request.query_params.getlist("run")
    context = compare_page.context(house.shelf, house.reading, slug, chosen)
    return _page(request, "compare.html.j2", **context)


async def start(request: Request) -> Response:
    """Plan a run as a form says, on the reader's file if there is one, and let it wait."""
    house = _house(request)
    slug = request.path_params["slug"]
    study = await run_in_threadpool(house.shelf.study, slug)
    sent, name, content = await _sent(request)
    form = await run_in_threadpool(forms.filled, study, sent)
    if form.sound:
        house.pace.pass_one()
        house.queue.require_room()
        try:
            run = await _plan(house, study, form, name, content)
        except BadInput as error:
            form = replace(form, wrong_file=str(error))
        except BadParameter as error:
            form = replace(form, wrong=str(error))
        else:
            await house.queue.add(await run_in_threadpool(_planned, house, run))
            return RedirectResponse(house.to.run(run), status_code=303)
    context = await run_in_threadpool(
        study_page.context, house.shelf, house.reading, house.to, slug, form.preset, form
    )
    return _page(request, "study.html.j2", status=422, **context)


async def _sent(request: Request) -> tuple[list[tuple[str, str]], str, bytes]:
    """Return the fields of a form, and the name and content of its file, if it has one."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return forms.pairs(await request.body()), "", b""
    try:
        async with request.form(max_files=1, max_fields=forms.MOST_FIELDS) as data:
            items = data.multi_items()
            fields = [(field, value) for field, value in items if isinstance(value, str)]
            for _, value in items:
                if isinstance(value, UploadFile) and value.filename:
                    return fields, value.filename, await value.read()
            return fields, "", b""
    except TooLong:
        raise
    except HTTPException:
        raise forms.no_form() from None


async def _plan(house: House, study: Study, form: forms.Form, name: str, content: bytes) -> str:
    """Plan a run and return its id: here, or where a file cannot harm the server."""
    order: dict[str, Any] = {
        "preset": form.preset,
        "lab": str(house.reading.lab.folder),
        "threads": house.threads,
        "name": house.shelf.name(study.slug),
    }
    if not name:
        plan = partial(runner.plan, study, **{**order, **form.asked, **form.changed})
        return (await run_in_threadpool(plan)).name
    accepted = study.input.suffixes if study.input else ()
    suffix = uploads.ending(name, content, accepted)
    return await uploads.planned(
        content, suffix, {**order, "asked": form.asked, "parameters": form.changed}
    )


def show_lab(request: Request) -> Response:
    """Runs, a page at a time."""
    house = _house(request)
    asked = _asked(request, "study", "verdict", "sort", "reverse", "page")
    return _page(request, "lab.html.j2", **lab_page.context(house.shelf, house.reading, asked))


def show_run(request: Request) -> Response:
    """A run: its report, or how far it is."""
    house, run = _house(request), request.path_params["run"]
    page = house.runs.sealed(run, _to(request))
    if page is None:
        live = house.queue.runs.get(run)
        told = house.queue.told(live) if live else None
        page = house.runs.unfinished(run, told, _to(request))
    return HTMLResponse(page)


def show_early(request: Request) -> Response:
    """What is known early of a run that is being computed."""
    house = _house(request)
    return HTMLResponse(house.runs.early(request.path_params["run"], house.to))


async def follow_run(request: Request) -> Response:
    """A stream of how a run stands and what is drawn of it, for its page; it ends with the run.

    What was drawn before it was opened comes first.
    """
    house, run = _house(request), request.path_params["run"]
    await run_in_threadpool(house.reading.place, run)

    async def states() -> AsyncIterator[dict[str, Any]]:
        seen, drawn = -1, Seen()
        while (live := house.queue.runs.get(run)) and not house.queue.closed:
            now = house.queue.version
            if live.version > seen or live.state == "waiting":
                seen = live.version
                yield {"event": "state", "data": json.dumps(house.queue.told(live))}
            first = not drawn.points and not drawn.pictures
            if (new := live.trace.since(drawn)) is not None:
                yield {"event": "drawn", "data": json.dumps({"whole": first, **new})}
            if live.over:
                return
            await house.queue.changes(now, BEAT)
            await _rest()
        if live is None:
            yield {"event": "state", "data": json.dumps({"run": run, "state": "unfinished"})}

    return EventSourceResponse(states(), ping=BEAT)


async def follow_queue(request: Request) -> Response:
    """A stream of all runs that wait or are computed, for pages that list them."""
    house = _house(request)

    async def states() -> AsyncIterator[dict[str, Any]]:
        while not house.queue.closed:
            now = house.queue.version
            told = [house.queue.told(live) for live in house.queue.active()]
            yield {"event": "queue", "data": json.dumps(told)}
            await house.queue.changes(now, BEAT)
            await _rest()

    return EventSourceResponse(states(), ping=BEAT)


async def stop(request: Request) -> Response:
    """Stop a run that waits or is being computed."""
    house, run = _house(request), request.path_params["run"]
    await run_in_threadpool(house.reading.place, run)
    live = house.queue.runs.get(run)
    if live is not None:
        await house.queue.stop(live)
    return RedirectResponse(house.to.run(run), status_code=303)


async def resume(request: Request) -> Response:
    """Let an unfinished run wait for its turn again."""
    house, run = _house(request), request.path_params["run"]
    if not (await run_in_threadpool(house.reading.open, run)).sealed:
        house.pace.pass_one()
        await house.queue.add(await run_in_threadpool(_planned, house, run))
    return RedirectResponse(house.to.run(run), status_code=303)


def download(request: Request) -> Response:
    """A file of a finished run, by a fixed name."""
    house, run, name = _house(request), request.path_params["run"], request.path_params["file"]
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
    path = _house(request).reading.picture(wanted["slug"], wanted["preset"], wanted["figure"])
    if path is None:
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type="image/svg+xml")


def show_spec(request: Request) -> Response:
    """What a figure of the evidence is drawn from, made to answer."""
    wanted = request.path_params
    spec = _house(request).reading.spec(wanted["slug"], wanted["preset"], wanted["figure"])
    if spec is None:
        raise HTTPException(404)
    return JSONResponse(interactive(spec))


def show_figure(request: Request) -> Response:
    """What a figure of a finished run is drawn from, made to answer."""
    wanted = request.path_params
    spec = _house(request).reading.figure(wanted["run"], wanted["figure"])
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


def _planned(house: House, run: str) -> Live:
    """Return an unfinished run as the queue holds it."""
    folder = house.reading.place(run)
    plan = read_plan(folder)
    chunks = chunks_of(plan)
    house.reading.look_again()
    entry = house.shelf.entry(plan["study"]["slug"])
    stated = entry.cost.get(plan["preset"], 0.0) if entry else 0.0
    return Live(
        folder=folder,
        study=str(plan["study"]["slug"]),
        title=str(plan["study"]["title"]),
        chunks=chunks,
        stated=stated,
        threads=int(plan["threads"]),
        seals=read_seals(folder, chunks),
    )


async def _rest() -> None:
    await asyncio.sleep(FASTEST)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _to(request: Request) -> Served:
    """Return the addresses as the page that is asked for has them.

    What was sent to an address that only takes what is sent is answered by the page above it.
    """
    path = request.url.path
    if request.method not in ("GET", "HEAD"):
        path = path.rpartition("/")[0] or "/"
    query = tuple(request.query_params.multi_items())
    return replace(_house(request).to, path=path, query=query, theme=choices.theme(request.headers))


def _asked(request: Request, *names: str) -> dict[str, str]:
    """Return what the query gives of these names, each once."""
    return {name: request.query_params[name] for name in names if name in request.query_params}


def _page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    house = _house(request)
    active = [house.queue.told(live) for live in house.queue.active()]
    page = render(template, _to(request), active=active, **context)
    return HTMLResponse(page, status_code=status)


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
    return _page(request, "trouble.html.j2", status=status, says=says)
