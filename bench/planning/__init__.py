"""From what was asked for to cells and tasks."""
