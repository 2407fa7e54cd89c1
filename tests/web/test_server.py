"""`chymist serve` as a process: where it listens, and how it refuses to start."""

import socket
import urllib.error
import urllib.request

from web_server import Serving

from chymist.cli import execute


def listeners(process):
    """Return the addresses at which a process listens, from the system's own table."""
    from pathlib import Path

    sockets = {link.readlink().name for link in Path(f"/proc/{process}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.append(fields[1].partition(":")[0])
    return found


def test_it_listens_on_the_loopback_address_alone_with_a_new_token_each_time(tmp_path):
    server = Serving(tmp_path / "lab")
    tokens = []
    try:
        assert listeners(server.process.pid) == ["0100007F"]
        for _ in range(2):
            tokens.append(server.address.partition("token=")[2])
            assert len(tokens[-1]) >= 43
            try:
                urllib.request.urlopen(server.base, timeout=10)
                raise AssertionError("it answers without a token")
            except urllib.error.HTTPError as error:
                assert error.code == 401
                assert "server" not in {name.lower() for name in error.headers}
                error.close()
            said = server.end()
            assert "Traceback" not in said and "ERROR" not in said
            assert tokens[-1] not in said
            if len(tokens) < 2:
                server.start()
    finally:
        server.end(kill=True)
    assert tokens[0] != tokens[1]
    assert not (tmp_path / "lab").exists()  # looking makes no lab


def test_a_port_that_is_taken_or_none_is_refused(lab, refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("serve", "--no-browser", "--port", port)
        assert line == f"port {port} is in use (--port 0 takes any free one)"
    assert "allowed: integer from 0 to 65535" in refused("serve", "--no-browser", "--port", 70000)
    assert "at-once cannot be 0" in refused("serve", "--no-browser", "--at-once", 0)
    assert refused("serve", "--no-browser", "nosuch.py").startswith("no file nosuch.py")


def test_the_verb_explains_itself(capsys):
    assert execute(["serve", "--help"]) == 0
    assert "--at-once" in capsys.readouterr().out
