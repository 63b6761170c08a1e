"""What the tuner would choose on a GPU that is not here, by the kernel simulator.

Candidates are the templates' own, their times the model's: rankings and ratios are to be believed
as far as `docs/gpu-kernels.md` says that they may be, absolute times less.
"""
