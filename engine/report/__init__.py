"""One self-contained page (and one picture) that shows what a run made."""
