"""Links from Dagster's pages to the report and Data Docs, as a browser follows them."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from aquamind_pipeline import report
from aquamind_pipeline.orchestration.asset_specs import page_link
from aquamind_pipeline.settings import load_settings
from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT, SIGNS


def test_a_link_leads_to_the_page_whatever_the_farm_is_called(tmp_path: Path) -> None:
    """The farm is named after its profile's file, and the reports are below a folder of any name."""
    profile = tmp_path / f"{SIGNS}.toml"
    profile.write_text((ROOT / "aquamind_pipeline" / "profiles" / "tiny.toml").read_text("utf-8"), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    settings = load_settings(profile=str(profile), home=tmp_path / SIGNS, pages_url=url)
    page = report.page_path(settings)
    page.parent.mkdir(parents=True)
    page.write_text("the report")
    module = "aquamind_pipeline.orchestration.page_server"
    with subprocess.Popen([sys.executable, "-m", module, str(settings.reports_path), url]) as server:
        try:
            assert wait_for(lambda: fetched(str(page_link(settings, page).value)), server) == b"the report"
            page.unlink()
            with pytest.raises(urllib.error.HTTPError) as missing:
                fetched(str(page_link(settings, page).value))
            assert missing.value.code == HTTPStatus.NOT_FOUND
            assert "made after its load" in missing.value.read().decode()
        finally:
            server.kill()


def fetched(link: str) -> bytes:
    """The page, or nothing while the server does not listen yet."""
    try:
        with urllib.request.urlopen(link) as answer:  # noqa: S310 - our own server
            return bytes(answer.read())
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError:
        return b""
