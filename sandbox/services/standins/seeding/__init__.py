"""What the services' seed scripts do, from the rows in the .json files beside the scripts."""
