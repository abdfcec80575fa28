"""Searches, fits, judges and publishes models."""
