"""Reads a data set's source into a snapshot."""
