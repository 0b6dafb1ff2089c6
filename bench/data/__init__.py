"""Data sets and the pools that they are divided into."""

from bench.data.fingerprint import fingerprint
from bench.data.pools import PoolName, divide, image_digests
from bench.data.source import Images, Source, Split

__all__ = ["Images", "PoolName", "Source", "Split", "divide", "fingerprint", "image_digests"]
