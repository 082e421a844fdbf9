"""What people did on the web page."""
