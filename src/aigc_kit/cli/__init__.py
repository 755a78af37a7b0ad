"""
The command line: one file for each command.

A file here whose name has no underscore in front is a command: its ``command`` is a click command. It
imports nothing heavy before it runs, so that ``--help`` stays fast.
"""
