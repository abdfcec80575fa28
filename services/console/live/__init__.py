"""What changes while a page is open: the event stream, the work under way, serving figures, health."""
