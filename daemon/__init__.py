"""The shell: everything that touches the world, through the ports that the engine talks to."""
