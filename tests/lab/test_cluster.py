"""A run on a Ray cluster of two nodes: the same bytes, and whatever dies is told and replaced."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import chymist
from chymist.errors import BadCluster, WorkerDied
from chymist.lab import Lab
from chymist.lab.cluster import connected

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def session_processes(session):
    """Return the ids of processes whose command line names a Ray session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if session in words:
                found.append(int(entry.name))
    return found


def gone(alive, within=10.0):
    deadline = time.monotonic() + within
    while alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def two_nodes():
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    cluster.add_node(**SMALL)
    session = Path(cluster.head_node.get_session_dir_path()).name
    assert session_processes(session)
    yield cluster
    cluster.shutdown()
    assert gone(lambda: session_processes(session)), "Ray was left behind"


@pytest.fixture
def seen(tmp_path, pair):
    """The study of pairs, which leaves its process and that one's parent, the node, in a folder."""
    where = tmp_path / "seen"
    where.mkdir()
    text = pair.read_text().replace(
        "def draws(p, bench):\n",
        "def draws(p, bench):\n"
        "    import os, pathlib\n"
        f"    here = pathlib.Path({str(where)!r}, f'{{os.getppid()}}.{{os.getpid()}}')\n"
        "    here.write_text('begun')\n"
        "    found = drawn(p, bench)\n"
        "    here.write_text('done')\n"
        "    return found\n\n\n"
        "def drawn(p, bench):\n",
    )
    path = tmp_path / "seen.py"
    path.write_text(text)

    def nodes(*states):
        files = [p for p in where.iterdir() if not states or p.read_text() in states]
        return {int(p.name.partition(".")[0]) for p in files}

    def computing():
        pids = {int(p.name.rpartition(".")[2]) for p in where.iterdir()}
        return {pid for pid in pids if Path(f"/proc/{pid}").exists()}

    return path, nodes, computing


def test_two_nodes_write_the_same_bytes_as_one_process(two_nodes, lab, seen, found):
    path, nodes, _ = seen
    one = chymist.run(path, threads=1, pause=0.2)
    assert nodes() == {os.getppid()}
    many = chymist.run(path, pause=0.2, executor="ray", ray_address=two_nodes.address, jobs=2)
    assert many.manifest["threads"] == 1
    assert found(many) == found(one)
    assert len(nodes()) == 3
    log = (many.folder / "log.jsonl").read_text()
    assert log.count("sealed") == log.count("trained") == 8


@pytest.mark.slow
def test_a_node_that_dies_is_reported_and_its_chunk_tried_elsewhere(
    two_nodes, lab, seen, found, capsys
):
    path, nodes, _ = seen
    whole = chymist.run(path, threads=1, pause=1, lab=lab.parent / "whole")
    spare = two_nodes.add_node(**SMALL)
    [raylet] = [p.process.pid for p in spare.all_processes["raylet"]]
    notices, killed = [], []

    def observe(event):
        if event.notice:
            notices.append(event.notice)
        # Another node's chunk is done, and the spare one is within its own.
        if event.label == "done" and raylet in nodes("begun") and not killed:
            two_nodes.remove_node(spare, allow_graceful=False)
            killed.append(event.chunk)

    options = {"executor": "ray", "ray_address": two_nodes.address, "jobs": 3}
    done = chymist.run(path, pause=1, observe=observe, **options)
    assert killed
    assert found(done) == found(whole)
    assert len(nodes()) == 4
    assert capsys.readouterr().out == ""
    assert len(notices) == 1
    assert "a worker died (its node died); 000" in notices[0]
    assert "is tried again" in notices[0]


@pytest.mark.slow
def test_a_run_goes_on_by_cluster_and_alone(two_nodes, cut, pair, found):
    whole = chymist.run(pair, threads=1)
    run = cut(3, threads=1)
    assert found(run.resume(executor="ray", ray_address=two_nodes.address)) == found(whole)


@pytest.mark.slow
def test_a_process_that_dies_twice_stops_the_run(two_nodes, lab, variant):
    path = variant('mean = values.mean("sample")', "import os; os._exit(9)")
    with pytest.raises(WorkerDied, match=r"a worker died \(its process died\) twice in chunk 000"):
        chymist.run(path, executor="ray", ray_address=two_nodes.address)
    assert not lab.exists()


def test_what_goes_wrong_in_a_task_is_told_as_elsewhere(two_nodes, lab, variant, refused):
    where = {"executor": "ray", "ray_address": two_nodes.address}
    bug = variant('mean = values.mean("sample")', "mean = 1 / 0")
    with pytest.raises(RuntimeError, match=r"ZeroDivisionError in chunk 000") as caught:
        chymist.run(bug, **where)
    assert "altered.py" in "".join(caught.value.__notes__)
    broken = variant('return xr.Dataset({"mean": mean})', "return 3")
    words = ("--executor", "ray", "--ray-address", two_nodes.address)
    assert "returned no xarray Dataset" in refused("run", broken, *words)
    said = refused("run", bug, *words, "--threads", "64")
    assert said.startswith("no node of the cluster has 64 processors for the run's threads (the")
    assert not lab.exists()


@pytest.mark.slow
def test_an_interrupt_stops_the_tasks_within_two_seconds(two_nodes, lab, seen):
    path, nodes, computing = seen
    where = ["--executor", "ray", "--ray-address", two_nodes.address, "--jobs", "2"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "chymist", "run", str(path), "--pause", "60", *where],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert gone(lambda: len(nodes()) < 2, within=60)
    assert len(computing()) == 2
    parent.send_signal(signal.SIGINT)
    begun = time.monotonic()
    said = parent.communicate(timeout=20)[1]
    assert time.monotonic() - begun < 2
    assert parent.returncode == 130
    [folder] = (lab / "runs").iterdir()
    assert said == (
        "chymist: interrupted: 0 of 8 chunks are kept "
        f"(to continue: chymist resume {folder.name})\n"
    )
    assert gone(computing)


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.slow
def test_a_connection_of_the_programs_own_is_kept_and_its_tasks_are_stopped(two_nodes, seen):
    import ray

    path, nodes, computing = seen
    begun = []

    def interrupt():
        begun.append(gone(lambda: len(nodes()) < 2, within=60) and len(computing()))
        os.kill(os.getpid(), signal.SIGINT)

    ray.init(address=two_nodes.address, logging_level="ERROR", log_to_driver=False)
    try:
        waiting = threading.Thread(target=interrupt)
        waiting.start()
        with pytest.raises(KeyboardInterrupt):
            chymist.run(path, pause=60, executor="ray", jobs=2)
        waiting.join()
        assert begun == [2]
        assert ray.is_initialized()
        assert gone(computing)
    finally:
        ray.shutdown()


def test_a_connection_leaves_the_handlers_of_signals_alone(two_nodes):
    before = handlers()
    with connected(two_nodes.address):
        assert handlers() == before
    assert handlers() == before


@pytest.fixture
def port():
    """A port at which somebody listens who never says a word."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        yield deaf.getsockname()[1]


def test_an_address_where_no_cluster_is_is_one_line_within_seconds(lab, tiny, refused, port):
    pytest.importorskip("ray")
    for address in ("127.0.0.1:1", f"127.0.0.1:{port}"):
        begun = time.monotonic()
        said = refused("run", tiny, "--executor", "ray", "--ray-address", address)
        assert said.startswith(f"no Ray cluster answers at {address} (start one with ray start")
        assert time.monotonic() - begun < 10
    assert not lab.exists()


def test_no_cluster_on_this_machine_is_one_line_within_seconds(lab, tiny, refused, monkeypatch):
    """Ray would look for a minute for one that has ended, of which it kept a note."""
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    note = Path("/tmp/ray/ray_current_cluster")
    before = note.read_text() if note.exists() else None
    note.parent.mkdir(exist_ok=True)
    note.write_text("127.0.0.1:1")
    begun = time.monotonic()
    try:
        said = refused("run", tiny, "--executor", "ray")
    finally:
        if before is None:
            note.unlink()
        else:
            note.write_text(before)
    assert said.startswith("no Ray cluster answers on this machine (start one with ray start")
    assert time.monotonic() - begun < 10
    assert not lab.exists()


@pytest.mark.parametrize("address", ["nonsense", "host:", "ray://host:10001", "host:port"])
def test_an_address_that_is_none_is_one_line(lab, tiny, refused, address):
    pytest.importorskip("ray")
    said = refused("run", tiny, "--executor", "ray", "--ray-address", address)
    assert said == f"ray address {address} cannot be read (write HOST:PORT)"
    assert not lab.exists()


def test_without_ray_the_command_that_installs_it_is_told(lab, tiny, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused("run", tiny, "--executor", "ray")
    assert said == ("executor ray needs Ray, which is not installed (pip install 'ray>=2.60')")
    with pytest.raises(BadCluster):
        chymist.run(tiny, executor="ray")
    assert not lab.exists()


def test_what_no_executor_can_do_is_one_line(lab, tiny, refused):
    assert "did you mean ray?" in refused("run", tiny, "--executor", "rai")
    said = refused("run", tiny, "--ray-address", "host:1")
    assert said == "ray address host:1 given without executor ray (--executor ray)"
    assert Lab(lab).folders() == []
