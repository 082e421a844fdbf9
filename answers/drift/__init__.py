"""Deviations from a baseline, and decisions about them."""
