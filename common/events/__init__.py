"""Events: what they are, where they go, and how a handler gets each of them once."""
