"""Attacks of this suite's own, vectorised, on the deployment's surface."""
