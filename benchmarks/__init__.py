"""How fast each phase is, beside the plain way of doing it: `python -m benchmarks`."""

import os

# One thread, on both sides and in the processes that the benchmarks start. The libraries read this when they
# are imported, so it stands before everything else.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
