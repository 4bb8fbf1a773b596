"""Verbs about resets: asking for them, looking at them, deciding about them."""
