"""Defed: denoisers that see edges, and a detector that asks how much they change."""
