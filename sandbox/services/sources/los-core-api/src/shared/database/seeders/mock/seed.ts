// seed:mock, OPTIONAL, for testing environments; adds rows each time. The rows are in the .json file beside this one.
