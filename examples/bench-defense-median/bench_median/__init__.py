"""A median filter as a defense."""
