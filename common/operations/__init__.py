"""What the command line and the console both do, written once."""
