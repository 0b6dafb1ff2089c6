"""Executing tasks, and making records of what they left."""
