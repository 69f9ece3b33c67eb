"""The rounds of a run: reconcile, poll, submit, start, fetch results, call hooks."""
