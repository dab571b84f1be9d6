"""What a checkpoint says about itself: filled from what was written and measured, and printed."""
