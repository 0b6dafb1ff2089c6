"""Writes complete plugin packages to start from."""
