"""Where things are in the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DATA = ROOT / "tests" / "data"
SIGNS = "-a%2Fb #c? *[x]{y} 'q' \"d\" $HOME ~ ø魚;&|<b> [bold] :fish: year=2026 %s"
"""A folder's name with every sign that some library, shell or format gives a meaning of its own, except backslash."""

__all__ = ["DATA", "DOCS", "ROOT", "SIGNS"]
