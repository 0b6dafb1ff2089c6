"""Plugins: what they declare, how they are found and selected."""
