"""SUPER-IOT."""
