"""docs/api.md: the examples run and print what the page shows, and the page names all of the public interface."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import aquamind_pipeline as aq
from aquamind_pipeline.settings import Settings
from tests.helpers.places import DOCS

PAGE = DOCS / "api.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def printed(page: str) -> list[tuple[str, str]]:
    """What the examples print, and what the page shows below them."""
    names: dict[str, Any] = {}
    found, said = [], ""
    for language, text in BLOCK.findall(page):
        if language == "text":
            found.append((said.strip(), text.strip()))
            said = ""
            continue
        assert not said.strip(), f"the page does not show what this prints: {said}"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(text, names)  # noqa: S102 - our own page
        said = output.getvalue()
    assert not said.strip()
    return found


def test_the_pages_examples(built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(built.lake_path, tmp_path / "data" / "lake" / "tiny")
    monkeypatch.chdir(tmp_path)
    with pl.Config(tbl_width_chars=110):
        outcomes = printed(PAGE.read_text("utf-8"))
    assert outcomes
    for said, shown in outcomes:
        assert said == shown


def test_a_wrong_name_is_refused_by_python_and_by_type_checkers() -> None:
    with pytest.raises(AttributeError, match="module 'aquamind_pipeline' has no attribute 'Farmer'"):
        aq.Farmer  # type: ignore[attr-defined]  # noqa: B018 - mypy reports an ignore that is not needed


def test_the_page_names_every_public_name() -> None:
    text = PAGE.read_text("utf-8")
    assert [name for name in aq.__all__ if f"aq.{name}" not in text] == []
