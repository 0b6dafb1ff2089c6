"""What a hardware plugin is given and gives back."""

from bench.hardware.profile import Foresee, Measurement, Preset, Profile, Prospect, Workload

__all__ = ["Foresee", "Measurement", "Preset", "Profile", "Prospect", "Workload"]
