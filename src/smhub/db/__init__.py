"""The database: SQLite and PostgreSQL through one code path."""
