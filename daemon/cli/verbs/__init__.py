"""The verbs of `resetd`, each in a module of its name; `cancel`, `resume`, `skip` and `resolve` are in `acts`."""
