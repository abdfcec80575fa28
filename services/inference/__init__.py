"""The prediction API: serves the models of a folder, and needs neither Postgres nor Redis to answer."""
