"""The frame of the command line, and the commands that ask no question: one module for a command or a family of them.

A question's command is the module `command` of its package in `answers`.
"""
