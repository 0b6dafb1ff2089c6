"""What was computed, under the name of all that could change it: keys, objects, records, leases.

Importing it imports neither torch nor NumPy; both come with the first object that is read or written.
"""

from bench.store.leases import Lease
from bench.store.objects import StoredObject
from bench.store.store import Store, default_root

__all__ = ["Lease", "Store", "StoredObject", "default_root"]
