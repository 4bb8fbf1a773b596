"""What goes wrong in the cluster."""
