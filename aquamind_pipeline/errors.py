"""The few errors a user can meet. Each message says what was wrong, where, and how to mend it.

The command line prints such a message as one line and exits non-zero; anything else that escapes is a bug
and keeps its traceback.
"""


class AquaMindError(Exception):
    """Base of every error that is the user's to mend."""


class ConfigError(AquaMindError):
    """A setting, profile or partition key that cannot be used."""


class LakeError(AquaMindError):
    """The Parquet lake is missing a part, damaged, locked, or belongs to another farm."""


class DatabaseError(AquaMindError):
    """PostgreSQL cannot be reached, refuses us, or holds something that is not ours."""


class TransientError(AquaMindError):
    """What heals by itself, so that another try is worth it. Any other error comes again with the next try."""


class LakeBusyError(LakeError, TransientError):
    """Somebody else builds the lake."""


class DatabaseAwayError(DatabaseError, TransientError):
    """The server cannot be reached, a connection broke, or somebody else loads the database."""


class InputError(AquaMindError):
    """Recorded farm data that contradict themselves, such as a transfer before its source exists."""


class DefinitionError(AquaMindError):
    """A table definition or a rule is incomplete or contradicts itself. The message names the file and what to write."""


__all__ = [
    "AquaMindError",
    "ConfigError",
    "DatabaseAwayError",
    "DatabaseError",
    "DefinitionError",
    "InputError",
    "LakeBusyError",
    "LakeError",
    "TransientError",
]
