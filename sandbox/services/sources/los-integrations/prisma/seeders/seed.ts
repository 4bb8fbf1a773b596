// Finds the seeders in the folders beside it and runs them in the order of their dependencies. The rows are in the .json file beside this one.
