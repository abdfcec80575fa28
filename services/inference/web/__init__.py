"""The HTTP side: reading bodies, answering, refusing; nothing here knows of models."""
