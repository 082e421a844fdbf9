"""Requests to Temporal that the command line and the web page share: about runs and about schedules.

`runs` starts and cancels · `queued_runs` runs without a record yet · `progress` how far a run is ·
`live_runs` the same for all who look at it · `schedules` portfolio runs at given times ·
`portfolio_words` a portfolio in words · `worker_versions` whether a worker takes a run · `durations` for people.
"""
