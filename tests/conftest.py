"""Settings of the whole suite."""

import os

from hypothesis import settings

# The arrays of the tests are small: more threads only wait for each other, on a busy machine for minutes.
# Set before NumPy or torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test depends on the clock.
settings.register_profile("clockless", deadline=None)
settings.load_profile("clockless")
