"""Databases that earlier releases wrote, with what Graph served them, recorded once for each release."""
