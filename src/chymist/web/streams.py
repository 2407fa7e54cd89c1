"""Streams of how runs stand, each for one kind of page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from chymist.web.house import house_of
from chymist.web.trace import Seen

BEAT = 15.0
"""Seconds after which a stream says that it is still there."""
FASTEST = 0.2
"""Seconds between two messages of a stream."""


async def follow_run(request: Request) -> Response:
    """A stream of how a run stands and what is drawn of it, for its page; it ends with the run.

    What was drawn before it was opened comes first.
    """
    house, run = house_of(request), request.path_params["run"]
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
    house = house_of(request)

    async def states() -> AsyncIterator[dict[str, Any]]:
        while not house.queue.closed:
            now = house.queue.version
            told = [house.queue.told(live) for live in house.queue.active()]
            yield {"event": "queue", "data": json.dumps(told)}
            await house.queue.changes(now, BEAT)
            await _rest()

    return EventSourceResponse(states(), ping=BEAT)


async def _rest() -> None:
    await asyncio.sleep(FASTEST)
