"""The verbs of `resetd`, each in a module of its name.

`cancel`, `resume`, `skip`, `resolve` and `accept` are in `acts`.
"""
