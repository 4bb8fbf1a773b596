"""GitHub for the sandbox: the part of REST v3 and GraphQL that the rewind of a branch needs, over real git objects."""
