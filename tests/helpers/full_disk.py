"""A disk that takes no more, for the tests of what is written."""

import contextlib
import resource


@contextlib.contextmanager
def files_of_at_most(size):
    """No file of this process can grow beyond `size` bytes: writing fails as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
