"""What a hardware plugin is given and gives back."""

from bench.hardware.profile import Measurement, Preset, Profile, Workload

__all__ = ["Measurement", "Preset", "Profile", "Workload"]
