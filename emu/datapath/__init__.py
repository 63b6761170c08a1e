"""The eBPF datapath: a congestion controller of Linux that runs rules, or asks an agent for rates.

`docs/datapath.md` says what it computes. `bpf/` is the program, `integers` the same arithmetic in
Python; `build`, `loading` and `holder` bring it into the kernel and keep it there; `agent` answers
it with any controller of `policies.congestion` that acts once per monitor interval.
"""
