"""The deployables, one job each; none imports another."""
