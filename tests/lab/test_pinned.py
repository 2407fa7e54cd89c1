import subprocess
import sys

SCRIPT = """
from chymist.lab.compute import pinned
from threadpoolctl import threadpool_info
with pinned(1):
    import scipy.linalg
    found = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
    assert found and set(found) == {1}, found
"""


def test_linear_algebra_that_is_first_used_in_an_experiment_is_limited_too():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
