"""What pages show, read from PostgreSQL, the log files and the model folder; nothing here changes anything."""
