"""One GPU (or an ideal group of them) as rates: hardware, models, overlap, step cost."""

from sim import compile_cache

compile_cache.use()
