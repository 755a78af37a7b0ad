"""
The clients that are compared: one module each.

A function ``<vendor>_<operation>(world)`` makes a client as its users do and returns the operation:
a function that gives a text, bytes, or an iterator of texts when it streams. What a library cannot
do has no function. Nothing of the library is imported before, so that a cold start pays for what it
uses only.
"""
