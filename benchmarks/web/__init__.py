"""What the HTTP side costs."""
