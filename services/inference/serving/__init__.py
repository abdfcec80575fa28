"""Keeps what is served in step with the model folder."""
