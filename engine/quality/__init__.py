"""Quality by comparison: audits of masks, and thresholds that give a wanted precision."""
