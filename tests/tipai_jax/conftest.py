"""Settings of XLA for all tests below, made before its first use: compiling costs more than running here.

Without LLVM's optimisation the small programs of the tests compile three times faster, to the same numbers within the
tolerances.
"""

import os

os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0").strip()
