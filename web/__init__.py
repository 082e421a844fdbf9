"""The frame of the web page. A question's page is the module `routes` of its package in `answers`."""
