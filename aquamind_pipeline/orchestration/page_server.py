"""A small web server for reports and Data Docs, so that Dagster's pages can link to them. It listens on loopback only.

Browsers do not follow `file:` links from web pages.
"""

from __future__ import annotations

import functools
import os
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


class _Companion(ThreadingHTTPServer):
    """Exits soon after the process that started it has ended."""

    parent = os.getppid()

    def service_actions(self) -> None:
        """Check the parent process. The base class calls this twice a second."""
        if os.getppid() != self.parent:
            os._exit(0)


def serve(folder: Path, url: str) -> None:
    """Serve a folder until the process that started this one ends.

    Does nothing if `url` is of another machine, where somebody else serves the pages, or if its port is in use.
    """
    where = urlsplit(url)
    if where.hostname not in ("127.0.0.1", "localhost"):
        return
    folder.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(_Quiet, directory=str(folder))
    try:
        server = _Companion(("127.0.0.1", where.port or 80), handler)
    except OSError as error:
        sys.stderr.write(f"reports and Data Docs are not served on {url} ({error.strerror}): set AQUAMIND_PAGES_URL\n")
        return
    with server:
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
