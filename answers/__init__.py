"""The inventory's questions, one package each. A question uses another's `answer` and `records` only; only commands use
`cli`.
"""
