"""The rules of the inventory, pure: no I/O, no clock, and no import from the project's other packages.

`selection` what a run covers and its hash · `observation` one Graph object as one run read it ·
`canonical` the form that a content hash is taken of · `exact_json` JSON without losing a digit ·
`assembling` whole documents from several answers · `differences` what changed in a document, field by field ·
`outcomes` run status from collection outcomes · `patience` how often and how long Graph is asked again ·
`missing` what was there and is no longer listed, with its confidence · `error_codes` the stable codes.
"""
