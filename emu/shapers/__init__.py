"""Shapers: what makes a cable a link of a given rate, delay, queue and loss.

`relay` is the project's own, in user space; `kernel` is the kernel's traffic control, with netem.
`choice` takes one and says why.
"""
