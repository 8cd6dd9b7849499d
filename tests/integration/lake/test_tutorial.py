"""docs/tutorial.md: all blocks run, DuckDB, PostgreSQL and Polars agree, outputs and pictures are those of the page.

`make renew` writes outputs and pictures.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.lake import Lake, duckdb_views
from aquamind_pipeline.settings import Settings
from tests.helpers.golden import RENEW
from tests.helpers.places import DOCS

PAGE = DOCS / "tutorial.md"
BLOCK = re.compile(r"^```(python|sql|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"\(images/(tutorial-[\w-]+\.svg)\)")
LARGEST = 40_000
"""Bytes of a picture."""


def same(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> bool:
    """Whether two answers have the same rows. They may differ by one in the second decimal: the databases round
    decimals, and Polars floats.
    """
    plain = [
        [value if isinstance(value, str) else pytest.approx(float(value), rel=2e-3, abs=0.011) for value in row]
        for row in ours
    ]
    return plain == [[value if isinstance(value, str) else float(value) for value in row] for row in theirs]


def drawn(path: Path) -> str:
    """A picture, with lengths as exact as a screen shows them: machines differ in later digits."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path.read_text("utf-8"))


@pytest.mark.generated
def test_the_pages_blocks(
    built: Settings, loaded_own: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "data" / "lake" / "tiny")
    shutil.copytree(built.lake_path, lake.folder)
    duckdb_views.create(lake)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, Any] = {}
    said, compared = "", 0
    asked: list[tuple[Any, ...]] = []
    page = PAGE.read_text("utf-8")

    def shown(block: re.Match[str]) -> str:
        nonlocal said, asked, compared
        language, text = block.groups()
        if language == "text":
            return f"```text\n{said.strip()}\n```"
        if language == "sql":
            asked = names["views"].sql(text).fetchall()
            answer = connection.execute(text.encode()).fetchall()
            assert asked
            assert same(asked, answer), "PostgreSQL and DuckDB differ"
            said = str(names["views"].sql(text))
            return block[0]
        names.pop("answer", None) if "answer = " in text else None
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(text, names)  # noqa: S102 - our own page
        said = output.getvalue()
        if "answer = " in text:
            assert same(asked, names["answer"].rows()), "Polars and DuckDB differ"
            compared += 1
        return block[0]

    with (
        psycopg.connect(loaded_own.get_secret_value()) as connection,
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "aquamind", "font.size": 9}),
        pl.Config(tbl_width_chars=110),
    ):
        connection.execute("SET TimeZone = 'UTC'")
        found = BLOCK.sub(shown, page)
        names["views"].close()
    pictures = PICTURE.findall(page)
    assert compared == len(pictures) == 4
    if RENEW:
        PAGE.write_text(found, encoding="utf-8")
        for name in pictures:
            shutil.copy(tmp_path / name, DOCS / "images" / name)
    assert found == page or RENEW
    for name in pictures:
        kept = DOCS / "images" / name
        assert drawn(kept) == drawn(tmp_path / name), f"{name} is not what the page draws: run make renew"
        assert kept.stat().st_size < LARGEST
