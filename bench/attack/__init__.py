"""The attacker's side: threats, surfaces, and what an attack is."""

from bench.attack.attack import Attack, AttackResult, Batch
from bench.attack.certificate import UNCERTIFIED, Certify
from bench.attack.surface import REFUSED, Surface
from bench.attack.threat import Threat

__all__ = ["REFUSED", "UNCERTIFIED", "Attack", "AttackResult", "Batch", "Certify", "Surface", "Threat"]
