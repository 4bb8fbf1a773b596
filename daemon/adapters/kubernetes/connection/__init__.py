"""How the cluster is reached: where the configuration comes from, the way there, and credentials that change."""
