"""The rules of the inventory, pure: no I/O, no clock, and no import of the project's other packages.

`selection` what a run covers, and its hash · `observation` one Graph object as one run read it ·
`canonical` the form that the content hash is computed from · `exact_json` JSON without losing a digit ·
`document_parts` whole documents from several answers · `differences` changes of a document, field by field ·
`outcomes` run status from collection outcomes · `backoff` how often and how long Graph is asked again ·
`missing` items that are no longer listed, with confidence · `error_codes` the stable codes ·
`bounds` numbers that several packages share.
"""
