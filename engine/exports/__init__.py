"""A run's masks in the formats that other programs read; each says what it cannot hold."""
