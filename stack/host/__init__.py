"""The edge: the only package that touches files, processes, the network, the clock and the environment."""
