"""Requests to Temporal that the command line and the web page share."""
