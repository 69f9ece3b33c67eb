"""A campaign at rest: where it lies, how it begins and grows, and the mirrors that show it."""
