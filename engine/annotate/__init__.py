"""People mask photos in the page itself: no other labelling tool, the same records."""
