"""The control plane: runs, events, versions, as pages and as REST."""
