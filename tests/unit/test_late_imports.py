"""Modules that are imported when something of them is used."""

from __future__ import annotations

import sys

from aquamind_pipeline.late_imports import imported_later


def test_a_module_that_is_not_used_is_imported_later() -> None:
    assert "tabnanny" not in sys.modules
    with imported_later("tabnanny", "json"):
        import json
        import tabnanny  # of the standard library, and imported by nothing else here

        assert json.dumps([]) == "[]"
    assert "tabnanny" not in sys.modules
    assert callable(tabnanny.check)
    assert "tabnanny" in sys.modules
