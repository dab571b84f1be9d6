"""Label Studio: the server where people draw, and everything that speaks its language."""
