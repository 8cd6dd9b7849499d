"""A user at Dagster's pages: `aquamind ui` as it is started, a real Chromium, and screenshots of what was seen.

Screenshots go to test-artefacts/; those of the guide also to docs/images/ when WRITE_GOLDEN is set.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT

ARTEFACTS = ROOT / "test-artefacts"
IMAGES = ROOT / "docs" / "images"
LOADING_MS = 90_000
LOCATION = "/locations/aquamind_pipeline"
_IMAGE_COLOURS = 128


class UI:
    """`aquamind ui` for the tiny farm, as a user starts it: leads its process group, at an address that stays."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            port, pages = probe.getsockname()[1], other.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {}
        self.address = f"http://127.0.0.1:{port}"
        self._command = [str(Path(sys.executable).with_name("aquamind")), "ui", "--port", str(port)]
        self._own = {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(home), "DAGSTER_HOME": ""}
        self._own["AQUAMIND_PAGES_URL"] = f"http://127.0.0.1:{pages}"

    def start(self, **environment: str) -> None:
        """Have it run with these settings, and wait until it answers."""
        if self.process is not None and self.settings == environment:
            return
        self.stop()
        self.settings = environment
        ARTEFACTS.mkdir(exist_ok=True)
        with (ARTEFACTS / "ui.log").open("a") as log:
            self.process = subprocess.Popen(
                self._command,
                env=os.environ | self._own | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(lambda: _answers(self.address), self.process)

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def asked(self, page: Page, query: str, **variables: object) -> dict[str, Any]:
        """The answer of the web server's GraphQL, which its pages use."""
        answer = page.request.post(f"{self.address}/graphql", data={"query": query, "variables": variables})
        data: dict[str, Any] = answer.json()["data"]
        return data

    def runs(self, page: Page) -> list[tuple[str, str]]:
        """Id and status of the runs, newest first."""
        found = self.asked(page, "{ runsOrError { ... on Runs { results { runId status } } } }")
        return [(run["runId"], run["status"]) for run in found["runsOrError"]["results"]]

    def status(self, page: Page, run: str) -> str:
        """The status of one run."""
        return dict(self.runs(page))[run]

    def steps(self, page: Page, run: str) -> int:
        """How many steps of a run there were."""
        query = "query Steps($run: ID!) { runOrError(runId: $run) { ... on Run { stepStats { stepKey } } } }"
        return len(self.asked(page, query, run=run)["runOrError"]["stepStats"])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310 - http, our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window. Playwright allows one at a time in a process."""
    path = shutil.which("chromium")
    assert path, "install Debian's chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def visitor(browser: Browser, address: str) -> Iterator[Page]:
    """A window of somebody who comes for the first time: nothing is cached, no filter of a page is remembered."""
    with browser.new_context(base_url=address, viewport={"width": 1400, "height": 860}) as context:
        page = context.new_page()
        page.set_default_timeout(LOADING_MS)
        yield page


def shown(page: Page, path: str, *texts: str, image: str | None = None) -> None:
    """Open a page, see the texts on it, and keep a screenshot."""
    page.goto(path)
    for text in texts:
        expect(page.get_by_text(text, exact=False).first).to_be_visible(timeout=LOADING_MS)
    page.wait_for_load_state("networkidle")
    name = path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-").replace("&", "-") or "home"
    kept(page, image or name, guide=image is not None)


def kept(page: Page, name: str, *, guide: bool = False) -> None:
    """Keep a screenshot; one of the guide also there, in few colours and so of few bytes."""
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, animations="disabled")  # else a dialog may be half there
    if guide and os.environ.get("WRITE_GOLDEN"):
        IMAGES.mkdir(exist_ok=True)
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(_IMAGE_COLOURS).save(IMAGES / path.name, optimize=True)
