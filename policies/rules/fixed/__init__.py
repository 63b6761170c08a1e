"""Rules in integers: fixed-point C for a kernel's datapath, which has no floating point.

`compile.compile_fixed` chooses a format for every value of a rule, so that nothing overflows in 64
bits, or refuses the rule. The result runs in NumPy (`evaluate`) and as C (`c_source`), to the bit.
"""
