"""From a request, the catalog and facts to a plan, or to every reason against it."""
