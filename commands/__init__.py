"""The operator's command line (DESIGN §10): one module a command or a family of them.

`app` puts them together · `output` tables, JSON and times · `errors` exit codes and one-line errors ·
`options` what commands share · `explaining` an entry of the catalog in sentences ·
`temporal` starting, following and cancelling runs.
"""
