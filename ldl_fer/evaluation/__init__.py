"""How good a network is, and which labels are wrong."""
