"""Attacks of the Adversarial Robustness Toolbox."""
