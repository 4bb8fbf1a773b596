"""The judge: findings out of evidence, without a line of the daemon's code."""
