"""Draw Vega-Lite specifications in a process of their own: run as a script by `rendering`.

A specification is a program: it can ask for a thousand million points or a picture of a square
kilometre, and the JavaScript engine that obeys ends its whole process. Here that is this one.

Each request is eight bytes of length and JSON with `spec` and `format`; each answer one byte, 1 if
it could be drawn, eight bytes of length, and the drawing or the reason. The format "library" asks
for the script that draws specifications in a browser. Ends when nothing is asked
for half a minute. Imports no chymist.
"""

import json
import sys
import threading
from typing import Any

import vl_convert

IDLE = 30.0
MEMORY = 2 * 2**30


def draw(spec: dict[str, Any], kind: str) -> bytes:
    """Render without a browser and without the network."""
    if kind == "library":
        library: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        return library.encode("utf-8")
    if kind == "svg":
        svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        return svg.encode("utf-8")
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=2.0, allowed_base_urls=[]))
    return bytes(vl_convert.vegalite_to_pdf(spec, allowed_base_urls=[]))


def main() -> None:
    """Answer until standard input ends."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        idle = threading.Timer(IDLE, leave)
        idle.daemon = True
        idle.start()
        length = source.read(8)
        idle.cancel()
        if not length:
            return
        request = json.loads(source.read(int.from_bytes(length, "little")))
        try:
            drawn, answer = 1, draw(request["spec"], request["format"])
        except Exception as error:
            drawn, answer = 0, " ".join(f"{error!s:.500}".split()).encode()
        sink.write(bytes([drawn]) + len(answer).to_bytes(8, "little") + answer)
        sink.flush()


def leave() -> None:
    """End this process, whose main thread waits for a request."""
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
