// populate-core-entities: the fields of the core entities; adds rows each time. The rows are in the .json file beside this one.
