"""What the commands of `rookery` do; each is imported when it is called."""
