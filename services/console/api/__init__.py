"""The handlers of the REST interface, one noun per file."""
