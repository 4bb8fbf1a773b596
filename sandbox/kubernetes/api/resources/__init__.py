"""The verbs on objects, and how objects are shown."""
