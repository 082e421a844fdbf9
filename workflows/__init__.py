"""Orchestration only: deterministic, thin, no I/O.

`sync`, `portfolio`, `retention` and `sweep` are the workflows, `cancellable` what the first two share · `frontier` is a
run's state: the `wave_queue`, the `collection_results`, and how answers are taken in · `cursor` one place to read on ·
`queue` waiting for a slot · `messages` inputs, signals, queries, results · `policies` timeouts, heartbeats and retries.
"""
