"""Answers predictions from the shared model folder."""
