"""The Graph protocol, read-only.

`catalog` what can be read and how · `tenants` whose, in which cloud, with which credential · `tokens` MSAL ·
`client` HTTP and `$batch` · `links` what may be followed · `pages` listings · `errors` classification.
"""
