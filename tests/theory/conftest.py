import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Matrices this small are not worth a second thread, least of all on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield
