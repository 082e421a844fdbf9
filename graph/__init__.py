"""The Graph protocol, read-only.

`catalog` collections and how to read them · `tenants` tenants, clouds and credentials · `tokens` MSAL ·
`client` HTTP and `$batch` · `links` links that may be followed · `pages` listings · `errors` classification.
"""
