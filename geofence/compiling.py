"""Machine code that numba keeps on disk, made anew when anything it was made of has changed."""

import inspect
from hashlib import blake2b
from types import ModuleType


def sources(*modules: ModuleType) -> int:
    """A fingerprint of the source text of modules.

    numba looks at a function's own file alone to see whether its stored code is stale, and at what the
    function closes over: a kernel that calls those of other files closes over their fingerprint.
    """
    texts = "\x1f".join(inspect.getsource(m) for m in modules)
    return int.from_bytes(blake2b(texts.encode(), digest_size=7).digest())
