"""The inventory's questions: one package for each, from its rules to its command.

`rules` are pure, `records` what the question answers, `queries` the SQL, `answer` puts these together on a session, and
`command` prints it: a command asks an `answer`, never the database. A question uses another one by its `answer` and its
`records` alone. Only commands use `cli`.
"""
