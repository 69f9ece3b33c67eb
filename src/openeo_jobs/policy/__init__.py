"""Pure decisions: what to submit, start, settle, cancel, download next, and how long to wait."""
