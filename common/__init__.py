"""What the services share. Imports none of them."""
