"""Run records: what each run covered."""
