"""Model versions in the shared folder: written by train, verified by inference."""
