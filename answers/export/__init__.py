"""Stored documents as files."""
