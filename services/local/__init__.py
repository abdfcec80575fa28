"""The rookery command, and the whole stack on one machine."""
