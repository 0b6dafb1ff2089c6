"""The work: pure functions of what stands in the store, called in a process of their own."""
