"""The errors that a user can meet. Each message says what is wrong, where, and how to mend it.

The command line prints such a message as one line and exits with a non-zero status. Any other exception is a bug and
keeps its traceback.
"""


class AquaMindError(Exception):
    """Base of every error that the user can mend."""


class ConfigError(AquaMindError):
    """A setting, profile or partition key cannot be used."""


class LakeError(AquaMindError):
    """The Parquet lake lacks a file, is damaged, is locked, or belongs to another farm or version."""


class DatabaseError(AquaMindError):
    """PostgreSQL cannot be reached, refuses the connection, or holds something else than this farm."""


class TransientError(AquaMindError):
    """An error that may be gone at the next attempt. Any other error comes back at every attempt."""


class LakeBusyError(LakeError, TransientError):
    """Another process builds the lake."""


class DatabaseAwayError(DatabaseError, TransientError):
    """The server cannot be reached, a connection broke, or another process loads the database."""


class DatabaseLockedError(DatabaseAwayError):
    """Somebody else's transaction was in the way for longer than we wait for locks."""


class InputError(AquaMindError):
    """Farm records contradict each other, such as a transfer before its source exists."""


class DefinitionError(AquaMindError):
    """A table definition or a rule is incomplete or contradicts itself. The message says where and what to write."""


__all__ = [
    "AquaMindError",
    "ConfigError",
    "DatabaseAwayError",
    "DatabaseError",
    "DatabaseLockedError",
    "DefinitionError",
    "InputError",
    "LakeBusyError",
    "LakeError",
    "TransientError",
]
