"""Checks that anyone can run on a plugin of their own."""
