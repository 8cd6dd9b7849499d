"""Where things are in the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DATA = ROOT / "tests" / "data"
DIFFICULT = "a%2Fb #c?d [e]'é&"
"""Name of a folder with characters that mean something in URLs, patterns and shells."""

__all__ = ["DATA", "DIFFICULT", "DOCS", "ROOT"]
