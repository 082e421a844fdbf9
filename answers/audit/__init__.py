"""Acts of people on the web page."""
