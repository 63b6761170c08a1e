"""The project's own link relay: delay, rate, queue and loss in user space, by kernel stamps.

`relay.c` and what stands beside it is the program; `twin.py` is the same in Python, for machines
without a compiler. Both decide on every packet alike (`lane.c`, `lane.py`).
"""
