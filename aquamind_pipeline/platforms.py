"""The systems that the pipeline runs on: Linux with glibc, macOS, and Windows through WSL2."""

from __future__ import annotations

import sys

from aquamind_pipeline.errors import ConfigError

_WORKS = "AquaMind Pipeline runs on Linux with glibc, on macOS, and in WSL2"


def unsupported(platform: str, libraries: str) -> str | None:
    """Why the pipeline does not run on a system, and what to do; None if it runs.

    Args:
        platform: Of the system, as `sys.platform`.
        libraries: Processor, system and C library that Python was built for, as `x86_64-linux-gnu`.
    """
    if platform in ("win32", "cygwin", "msys"):
        return f"{_WORKS}, not on Windows itself: install it in WSL2 (`wsl --install`)"
    if "musl" in libraries:
        return (
            f"{_WORKS}, not with musl (as on Alpine), which PostgreSQL's package on PyPI lacks: use Debian or another"
        )
    if platform not in ("linux", "darwin"):
        return f"{_WORKS}, not on {platform}: use one of these"
    return None


def require_supported() -> None:
    """Refuse a system that the pipeline does not run on.

    Raises:
        ConfigError: when this is one.
    """
    reason = unsupported(sys.platform, getattr(sys.implementation, "_multiarch", ""))
    if reason is not None:
        raise ConfigError(reason)


__all__ = ["require_supported", "unsupported"]
