"""The SAM network: one file a box of the paper's diagram (Kirillov et al. 2023, figure 4)."""
