"""A private world: namespaces of a child process in which emulation changes nothing outside.

Network, mount and process namespaces have no names. When the first process in them ends, however
it ends, the kernel kills all others there, and with the last of them every interface, address and
mount is gone.
"""

from __future__ import annotations

from emu.world.launch import run_private

__all__ = ["run_private"]
