"""The HTTP side: reading requests, refusing, answering; nothing here knows of runs or models."""
