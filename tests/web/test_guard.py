"""Every route refuses whoever is not the one reader. Cases are derived from the table of routes."""

import re

import pytest
from web_server import COOKIE, HOST, ORIGIN, RIGHT, TOKEN, at

from chymist.web.app import largest, routes
from chymist.web.downloads import FILES
from chymist.web.guard import HEADERS
from chymist.web.pages import ASSETS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ROUTES = {route.path: route for route in routes()}
CASES = [(path, method) for path in ROUTES for method in METHODS]
HOSTS = (
    [],
    [("host", "evil.example")],
    [("host", "localhost.evil.example:8765")],
    [("host", "127.0.0.1.evil.example")],
    [("host", "127.0.0.1:8765@evil.example")],
    [("host", "192.168.1.5:8765")],
    [("host", "0.0.0.0:8765")],
    [("host", "")],
    [("host", HOST), ("host", "evil.example")],
)
STRANGERS = (
    [],
    [("cookie", f"chymist-8765={TOKEN[:-1]}")],
    [("cookie", f"chymist-8765={TOKEN}x")],
    [("cookie", f"chymist-1={TOKEN}")],
    [("cookie", "chymist-8765=")],
    [("cookie", f"chymist-8765=é{TOKEN}")],
    [("authorization", f"Bearer {TOKEN}")],
)
ORIGINS = (
    [],
    [("origin", "null")],
    [("origin", "http://evil.example")],
    [("origin", "http://127.0.0.1:9999")],
    [("origin", f"https://{HOST}")],
    [("origin", f"{ORIGIN}.evil.example")],
    [("origin", ORIGIN), ("origin", "http://evil.example")],
    [("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
)


@pytest.mark.parametrize(("path", "method"), CASES)
def test_a_route_refuses_strangers(path, method, laboratory):
    target = at(path, laboratory.house.sealed)
    reads = method in ("GET", "HEAD")
    answers = []
    for hosts in HOSTS:
        answers.append((421, laboratory(method, target, [*hosts, *RIGHT[1:]])))
    for stranger in STRANGERS:
        answers.append((401, laboratory(method, target, [RIGHT[0], *stranger, RIGHT[2]])))
    for origin in ORIGINS if not reads else ([("sec-fetch-site", "cross-site")],):
        answers.append((403, laboratory(method, target, [*RIGHT[:2], *origin])))
    if not reads:
        large = b"x" * (largest(target) + 1)
        stated = [*RIGHT, ("content-length", str(len(large)))]
        answers.append((413, laboratory(method, target, stated)))
        if method in ROUTES[path].methods and "start" in str(ROUTES[path].endpoint):
            answers.append((413, laboratory(method, target, RIGHT, large)))
        answers.append((400, laboratory(method, target, [*RIGHT, ("content-length", "-1")])))
    for status, answer in answers:
        assert answer.status == status, (target, answer.text)
        assert "Traceback" not in answer.text
        protected(answer)


@pytest.mark.parametrize(("path", "method"), CASES)
def test_a_route_answers_the_reader_as_it_should(path, method, laboratory):
    # Without this, a guard that refuses everybody would pass the test above.
    answer = laboratory(method, at(path, laboratory.house.sealed))
    allowed = method in ROUTES[path].methods
    expected = (200, 303, 422) if allowed else (405,)
    assert answer.status in expected, answer.text
    protected(answer)


@pytest.mark.parametrize("path", [p for p, route in ROUTES.items() if "GET" in route.methods])
def test_no_page_has_script_within_or_loads_from_elsewhere(path, laboratory):
    for run in (laboratory.house.sealed, laboratory.house.begun):
        target = at(path, run)
        answer = laboratory("GET", target)
        if not answer.header("content-type").startswith("text/html"):
            continue
        assert not re.search(r"<script(?![^>]* src=)", answer.text), target
        assert not re.search(r"<[^>]*\son[a-z]+\s*=", answer.text), target
        assert not re.search(r"javascript:", answer.text), target
        loaded = re.findall(
            r"<(?:script|img|link|iframe|object)[^>]* (?:src|href)=\"([^\"]*)", answer.text
        )
        assert all(re.match(r"/(?!/)|data:", one) for one in loaded), (target, loaded)


def protected(answer):
    for name, value in HEADERS.items():
        assert answer.header(name.lower()) == value
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    assert "server" not in dict(answer.headers)


def test_the_policy_forbids_inline_script_and_frames():
    policy = HEADERS["Content-Security-Policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'" and parts["script-src"] == "'self'"
    assert parts["frame-ancestors"] == "'none'" and "unsafe-eval" not in policy


def test_the_link_admits_once_and_the_cookie_is_strict(laboratory):
    answer = laboratory("GET", f"/?token={TOKEN}", [("host", HOST)])
    assert answer.status == 200 and TOKEN not in answer.text
    [cookie] = [value for name, value in answer.headers if name == "set-cookie"]
    assert cookie == f"{COOKIE}; Path=/; HttpOnly; SameSite=Strict"
    for wrong in ("", TOKEN[:-1], f"{TOKEN}%00", "%C3%A9"):
        assert laboratory("GET", f"/?token={wrong}", [("host", HOST)]).status == 401
    assert laboratory("GET", f"/runs?token={TOKEN}", [("host", HOST)]).status == 401
    assert laboratory("POST", f"/?token={TOKEN}", [RIGHT[0], RIGHT[2]]).status == 401


def test_hosts_are_taken_with_a_port_and_without(laboratory):
    for host in ("localhost", "localhost:8765", "127.0.0.1", "[::1]:8765", "127.0.0.1:2222"):
        assert laboratory("GET", "/runs", [("host", host), RIGHT[1]]).status == 200


def test_the_token_is_compared_in_constant_time(laboratory, monkeypatch):
    from chymist.web import guard

    seen = []
    monkeypatch.setattr(guard.secrets, "compare_digest", lambda a, b: seen.append((a, b)) or False)
    assert laboratory("GET", "/runs").status == 401
    assert (TOKEN.encode(), TOKEN.encode()) in seen


def test_a_bug_shows_no_trace(laboratory, monkeypatch, caplog):
    def broken(**options):
        raise KeyError("a secret of the server")

    monkeypatch.setattr(laboratory.house.reading.lab.index, "listing", broken)
    answer = laboratory("GET", "/runs")
    assert answer.status == 500
    assert "secret" not in answer.text and "KeyError" not in answer.text
    assert "a secret of the server" in caplog.text
    protected(answer)


def test_starts_come_at_a_bounded_rate(laboratory, monkeypatch):
    from chymist.web.pace import Pace

    now = [0.0]
    monkeypatch.setattr(laboratory.house, "pace", Pace(2, 5.0, lambda: now[0]))
    target = f"/runs/{laboratory.house.begun}/resume"
    assert [laboratory("POST", target).status for _ in range(4)] == [303, 303, 429, 429]
    now[0] = 5.0
    assert [laboratory("POST", target).status for _ in range(2)] == [303, 429]


def test_addresses_too_long_are_refused(laboratory):
    assert laboratory("GET", "/runs?study=" + "a" * 3000).status == 414
    assert laboratory("GET", "/runs/" + "a" * 3000).status == 414


def test_a_web_socket_is_refused(laboratory):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    laboratory.loop.run_until_complete(laboratory.app(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_every_asset_and_every_download_is_there(laboratory):
    for name, (_, _, kind) in ASSETS.items():
        answer = laboratory("GET", f"/static/{name}")
        assert answer.status == 200 and answer.header("content-type").startswith(kind)
    for name in FILES:
        answer = laboratory("GET", f"/runs/{laboratory.house.sealed}/{name}")
        assert answer.status == 200 and answer.body
        assert answer.header("content-disposition").startswith("attachment")
        unfinished = laboratory("GET", f"/runs/{laboratory.house.begun}/{name}")
        assert unfinished.status == 422 and "unfinished" in unfinished.text
