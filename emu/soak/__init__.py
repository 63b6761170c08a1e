"""Emulation and datapath under strain, and what could be left over counted after every lap."""
