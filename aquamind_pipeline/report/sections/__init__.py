"""The sections of the report, one in each module. Each module's `section` makes it."""
