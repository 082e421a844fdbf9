"""Run records: the coverage of each run."""
