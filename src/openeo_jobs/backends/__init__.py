"""The backends: what the tracker asks them, and the watch on what user code sends them."""
