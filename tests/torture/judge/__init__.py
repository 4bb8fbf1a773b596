"""The judge: it makes findings out of evidence, without a line of the daemon's code."""
