"""Unlimited scenes drawn on the fly: shapes, textures, and how they are put together."""
