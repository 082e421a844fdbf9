"""Orchestration only: deterministic, thin, no I/O.

`sync` the SyncWorkflow · `frontier` what is still to be read and what was · `cursor` where one collection is read on ·
`waits` what a run waits for, in words · `messages` input, signal, query, result ·
`policies` timeouts, heartbeats and retry policies · `search_attributes` what Temporal can be searched by.
"""
