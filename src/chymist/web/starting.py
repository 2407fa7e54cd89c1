"""Runs that a reader starts, stops and lets go on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chymist.errors import BadInput, BadParameter
from chymist.lab import runner
from chymist.lab.chunk import read_seals
from chymist.lab.plan import chunks_of, read_plan
from chymist.study import Study
from chymist.web import forms, study_page, uploads
from chymist.web.guard import TooLong
from chymist.web.house import House, answer, house_of
from chymist.web.queue import Live


async def start(request: Request) -> Response:
    """Plan a run as a form says, on the reader's file if there is one, and let it wait."""
    house = house_of(request)
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
    return answer(request, "study.html.j2", status=422, **context)


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


async def stop(request: Request) -> Response:
    """Stop a run that waits or is being computed."""
    house, run = house_of(request), request.path_params["run"]
    await run_in_threadpool(house.reading.place, run)
    live = house.queue.runs.get(run)
    if live is not None:
        await house.queue.stop(live)
    return RedirectResponse(house.to.run(run), status_code=303)


async def resume(request: Request) -> Response:
    """Let an unfinished run wait for its turn again."""
    house, run = house_of(request), request.path_params["run"]
    if not (await run_in_threadpool(house.reading.open, run)).sealed:
        house.pace.pass_one()
        await house.queue.add(await run_in_threadpool(_planned, house, run))
    return RedirectResponse(house.to.run(run), status_code=303)


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
