"""The frame of the web page: the application, sign-in, the scope of a request, layout and static files.

A question's page is the module `routes` of its package in `answers`.
"""
