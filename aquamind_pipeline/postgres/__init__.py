"""PostgreSQL: the embedded server, connections, the schema, and the bulk load."""
