"""Planning: from a request, the catalog and the facts to a plan, or to every reason against it."""
