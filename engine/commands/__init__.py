"""One module for each command: its options and help; the work lives in the folders beside."""
