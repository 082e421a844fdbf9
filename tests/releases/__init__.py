"""Databases that earlier releases wrote, with Graph's documents, recorded once for each release."""
