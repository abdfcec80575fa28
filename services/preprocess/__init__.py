"""Cleans and encodes a snapshot."""
