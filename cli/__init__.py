"""The frame of the command line, and the commands that ask no question.

A question's command is the module `command` of its package in `answers`.
"""
