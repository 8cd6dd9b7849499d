"""Tables of text: whatever the width of a terminal, no name and no number is cut."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from aquamind_pipeline.report import Check, Report, Section, show
from aquamind_pipeline.text_tables import Column, columns, print_table

GROWTH = ["batch", "eggs", "fish on day 91", "survival", "transitions", "largest change", "weight now (g)"]
FIGURES = ["FI-2020-001", "3,334,566", "2,910,607", "0.8729", "5", "0.9993", "5,235.3"]
NARROWEST = 30
"""Columns that the longest number needs beside a batch."""


class Terminal(io.StringIO):
    """Keeps what is written to it, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(width: int, shown: list[Column], rows: list[list[str]]) -> list[str]:
    """Lines of a table on a terminal of so many columns."""
    file = Terminal()
    print_table(Console(file=file, width=width, color_system=None), shown, rows)
    return file.getvalue().splitlines()


def words(line: str) -> list[str]:
    return re.sub("[│┃]", " ", line).split()


@pytest.mark.parametrize("width", range(NARROWEST, 130))
def test_every_figure_stands_whole_beside_its_batch(width: int) -> None:
    rows = [FIGURES, ["SCO-2026-123", "99,999,999", "1", "0.1", "12", "1.0000", "0.0000"]]
    lines = on_a_terminal(width, columns(*GROWTH), rows)
    assert max(cell_len(line) for line in lines) <= width
    assert not any("…" in line for line in lines)
    for name, *figures in rows:
        found = [word for line in lines if words(line)[:1] == [name] for word in words(line)[1:]]
        assert found == figures


@pytest.mark.parametrize("width", [1, 12, 20])
def test_a_terminal_that_is_too_narrow_for_any_table_gets_a_line_for_each_figure(width: int) -> None:
    lines = on_a_terminal(width, columns(*GROWTH), [FIGURES])
    wanted = [f"  {heading}: {cell}" for heading, cell in zip(GROWTH[1:], FIGURES[1:], strict=True)]
    assert lines == ["FI-2020-001", *wanted]


@pytest.mark.parametrize("width", [44, 60, 80])
def test_texts_fold_between_words_and_names_do_not(width: int) -> None:
    name = "environmental_readings"
    lines = on_a_terminal(
        width, [Column("name"), Column("what it has")], [[name, "all readings of all 魚 sensors " * 3]]
    )
    assert max(cell_len(line) for line in lines) <= width
    assert any(name in words(line) for line in lines)
    found = [word for line in lines for word in words(line) if word not in (name, "name", "what", "it", "has")]
    assert "".join(found).count("sensors") == 3
    assert {word for word in found if not set(word) & set("━─┏┡└")} == {"all", "readings", "of", "魚", "sensors"}


def test_a_file_gets_each_row_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """As wide as it needs, so that `grep` finds whole rows."""
    section = Section("Growth", GROWTH * 4, [FIGURES * 4], [Check("a check", True, "a long detail " * 20)])
    show(Report("tiny", "here", "2026-06-07", [section]), Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert [words(line) for line in lines if "FI-2020-001" in line] == [FIGURES * 4]
    assert "PASS a check: " + "a long detail " * 20 in lines
