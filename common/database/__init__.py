"""Rookery's tables in PostgreSQL, and the engine that reaches them."""
