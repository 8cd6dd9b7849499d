"""AquaMind's tables, one package for each of its apps: columns, generators, expected rows and rules side by side.

`REGISTRY` finds every `TableDefinition` at the top of a module below this package. docs/add-a-table.md shows how one
is added.
"""

from aquamind_pipeline.schema.registry import Registry, discover

REGISTRY: Registry = discover(__name__, __path__)
"""Every table definition."""

__all__ = ["REGISTRY"]
