"""What Dagster's pages show when an option of a run is wrong: one line that says what is wrong, and no stack.

Dagster's code server stores each error with its stack. The stack of a wrong option has only frames of Dagster.
"""

from __future__ import annotations

import sys
from typing import Any

from aquamind_pipeline.orchestration.step_errors import WrongOption

_STORES = "serializable_error_info_from_exc_info"
"""Name of the function in the module of the code server that makes of an error what pages show."""


def leave_out_stacks_of_refusals() -> None:
    """Let this process, if it is a code server, send wrong options without stacks."""
    if "dagster._grpc.server" not in sys.modules:
        return
    # The module in which the code server catches errors. Dagster has no setting for what it makes of them.
    from dagster._grpc import server

    if hasattr(vars(server)[_STORES], "with_stack"):
        return
    with_stack = vars(server)[_STORES]

    def without_stack(error: Any, *arguments: Any, **more: Any) -> Any:
        stored = with_stack(error, *arguments, **more)
        return stored._replace(stack=[], cause=None, context=None) if error[0] is WrongOption else stored

    vars(without_stack)["with_stack"] = with_stack
    vars(server)[_STORES] = without_stack


__all__ = ["leave_out_stacks_of_refusals"]
