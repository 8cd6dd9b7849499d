"""A small web server for reports and Data Docs, so that Dagster's pages can link to them. It listens on loopback only.

Browsers do not follow `file:` links from web pages.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from aquamind_pipeline.errors import ConfigError


class _Quiet(SimpleHTTPRequestHandler):
    error_message_format = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Not there yet</title>
<style>:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem }</style><body>
<h1>This page is not there yet</h1>
<p>A farm's report is made after its load, by the jobs <code>build_farm</code> and <code>load_database</code>. If a
check fails or the load is stopped, there is none. The pages of Great Expectations are made with the checks.</p>
<p><small>%(code)d %(message)s</small></p></body></html>
"""

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


class _Companion(ThreadingHTTPServer):
    """Exits soon after the process that started it has ended."""

    parent = os.getppid()

    def service_actions(self) -> None:
        """Check the parent process. The base class calls this twice a second."""
        if os.getppid() != self.parent:
            os._exit(0)


def port_here(url: str) -> int | None:
    """The port on this machine on which pages are to be served; None if `url` is of another machine.

    Raises:
        ConfigError: when the URL has no valid port.
    """
    where = urlsplit(url)
    try:
        port = where.port or 80
    except ValueError as error:
        raise ConfigError(f"AQUAMIND_PAGES_URL={url}: {error}") from None
    return port if where.hostname in ("127.0.0.1", "localhost") else None


def serve(folder: Path, url: str) -> None:
    """Serve a folder until the process that started this one ends. The URL is of this machine.

    Raises:
        SystemExit: when the port is in use.
    """
    port = port_here(url)
    assert port is not None
    folder.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(_Quiet, directory=str(folder))
    try:
        server = _Companion(("127.0.0.1", port), handler)
    except OSError as error:
        sys.exit(f"reports and Data Docs are not served on {url} ({error.strerror}): set AQUAMIND_PAGES_URL")
    with server:
        server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `aquamind ui` held it back until here
    serve(Path(sys.argv[1]), sys.argv[2])
