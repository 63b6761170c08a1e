"""What SymbolicPCC's figures show, read off the image files that its authors put out.

Utilisation is exact to .005 in panels (a) and (b), to .015 in (c) and (d). Where a curve leaves the
panel (Aurora at 1 and 4 ms of latency, below .75) there is no value. Goodputs are in Mbit/s.
SymbolicPCC's two schemes, which the figures call "baseline" and "branched", are under the names of
our rules, `symbolic` and `symbolic_branched`; theirs were not published.
"""

from __future__ import annotations

MARK = "digitised"

Curve = dict[float, float]

BANDWIDTH: dict[str, Curve] = {
    "vivace": {1: 0.854, 4: 0.938, 10: 0.917, 30: 0.893, 40: 0.889, 100: 0.866},
    "aurora_udt": {1: 0.958, 4: 0.958, 10: 0.954, 30: 0.928, 40: 0.917, 100: 0.894},
    "cubic": {1: 0.943, 4: 0.941, 10: 0.939, 30: 0.936, 40: 0.935, 100: 0.932},
    "bbr": {1: 0.937, 4: 0.921, 10: 0.916, 30: 0.911, 40: 0.910, 100: 0.918},
    "symbolic": {1: 0.958, 4: 0.958, 10: 0.955, 30: 0.946, 40: 0.944, 100: 0.938},
    "symbolic_branched": {1: 0.959, 4: 0.963, 10: 0.945, 30: 0.952, 40: 0.954, 100: 0.943},
}
LATENCY: dict[str, Curve] = {
    "vivace": {1: 0.949, 4: 0.934, 10: 0.911, 30: 0.893, 40: 0.887, 100: 0.822},
    "aurora_udt": {10: 0.950, 30: 0.928, 40: 0.917, 100: 0.834},
    "cubic": {1: 0.954, 4: 0.953, 10: 0.950, 30: 0.936, 40: 0.929, 100: 0.882},
    "bbr": {1: 0.948, 4: 0.940, 10: 0.934, 30: 0.911, 40: 0.901, 100: 0.855},
    "symbolic": {1: 0.955, 4: 0.952, 10: 0.950, 30: 0.946, 40: 0.942, 100: 0.915},
    "symbolic_branched": {1: 0.950, 4: 0.947, 10: 0.958, 30: 0.952, 40: 0.952, 100: 0.923},
}
QUEUE: dict[str, Curve] = {
    "vivace": {1: 0.01, 10: 0.11, 100: 0.90, 1000: 0.89, 10000: 0.90},
    "aurora_udt": {1: 0.01, 10: 0.12, 100: 0.93, 1000: 0.93, 10000: 0.93},
    "cubic": {1: 0.00, 10: 0.055, 100: 0.865, 1000: 0.935, 10000: 0.935},
    "bbr": {1: 0.01, 10: 0.12, 100: 0.91, 1000: 0.91, 10000: 0.92},
    "symbolic": {1: 0.01, 10: 0.13, 100: 0.945, 1000: 0.945, 10000: 0.945},
    "symbolic_branched": {1: 0.02, 10: 0.18, 100: 0.965, 1000: 0.987, 10000: 0.955},
}
LOSS: dict[str, Curve] = {
    "vivace": {0: 0.893, 0.02: 0.315, 0.04: 0.163, 0.06: 0.121, 0.08: 0.087},
    "aurora_udt": {0: 0.928, 0.02: 0.920, 0.04: 0.885, 0.06: 0.035, 0.08: 0.032},
    "cubic": {0: 0.936, 0.02: 0.045, 0.04: 0.027, 0.06: 0.020, 0.08: 0.019},
    "bbr": {0: 0.911, 0.02: 0.885, 0.04: 0.855, 0.06: 0.838, 0.08: 0.805},
    "symbolic": {0: 0.946, 0.02: 0.948, 0.04: 0.943, 0.06: 0.928, 0.08: 0.936},
    "symbolic_branched": {0: 0.950, 0.02: 0.952, 0.04: 0.964, 0.06: 0.966, 0.08: 0.944},
}

# Seconds -> Mbit/s. CUBIC's mean and the others' steady state are the levels below.
LOSSY_TRACE: dict[str, Curve] = {
    "aurora_udt": {0: 7.8, 1: 16.5, 2: 28.3},
    "bbr": {0: 0.0, 1: 14.2, 2: 28.6, 11: 0.7},
    "vivace": {0: 1.9, 25: 16.4},
    "symbolic": {0: 17.0, 1: 28.9, 2: 28.9},
    "symbolic_branched": {0: 21.0, 1: 28.9, 2: 28.9},
}
LOSSY_LEVELS = {"cubic": 1.1}
LOSSY_LEVELS |= dict.fromkeys(("aurora_udt", "bbr", "symbolic", "symbolic_branched"), 28.85)

# After the step from 20 to 40 Mbit/s at 5 s: readings, and where 95 % of 38.5 were reached.
DYNAMIC_LINK: dict[str, Curve] = {
    "aurora_udt": {6: 21.0, 7: 36.5},
    "cubic": {8: 36.6},
    "bbr": {9: 36.6},
    "symbolic": {6: 19.3, 7: 27.8, 8: 38.5},
    "symbolic_branched": {6: 24.2, 7: 36.8, 8: 38.5},
}
