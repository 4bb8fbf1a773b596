"""The kinds of steps: how one attempt at each is made, and what has to hold right before it."""
