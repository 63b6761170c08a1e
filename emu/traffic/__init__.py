"""Traffic on emulated paths: iperf3 flows, what the kernel tells of them, who controls them."""
