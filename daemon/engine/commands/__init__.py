"""One command in a pod: launched and followed, ended for sure, or shown to be gone."""
