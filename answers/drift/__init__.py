"""Deviations from baselines, and decisions about them."""
