"""The schedule: what is due, and what has to be sent again."""
