"""The services' seed scripts: they write the rows of the .json files beside the scripts."""
