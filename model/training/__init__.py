"""How a promptable model learns: losses, simulated rounds, the loop. Knows no data sets."""
