import shutil
import time

import pytest
from web_server import ROOT, STUDIES, Asker, Serving

import chymist
from chymist.lab import Lab
from chymist.web.house import House
from chymist.web.queue import Queue
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    """A lab with a sealed and an unfinished run, its house, and an asker; nothing is computed."""
    from chymist.lab import runner

    folder = tmp_path_factory.mktemp("web") / "lab"
    sealed = chymist.run(STUDIES / "tiny.py", lab=folder)
    files = [str(STUDIES / "tiny.py"), str(STUDIES / "pair.py")]
    shelf = Shelf(files)
    begun = runner.plan(shelf.study("pair"), lab=folder, name=shelf.name("pair"))
    house = House(shelf, Reading(Lab(folder), ROOT / "docs" / "evidence"), Queue(0), threads=1)
    house.sealed, house.begun = sealed.id, begun.name
    asker = Asker(house)
    yield asker
    asker.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server on a lab of its own."""
    server = Serving(tmp_path_factory.mktemp("served") / "lab")
    yield server
    assert "Traceback" not in server.end()


@pytest.fixture(scope="module")
def browser():
    """A real browser; skipped only where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=found, args=arguments)
        yield started
        started.close()


@pytest.fixture
def soon():
    """Wait until something holds, at most so many seconds."""

    def wait(holds, seconds=30.0):
        end = time.monotonic() + seconds
        while not (value := holds()):
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.05)
        return value

    return wait
