"""Which version answers: the model folder is watched, versions are verified and loaded, and only then served."""
