"""Emulation and datapath under strain, lap after lap, with everything counted that could be left over."""
