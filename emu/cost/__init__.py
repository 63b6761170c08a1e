"""What a congestion control costs: time in its callbacks per ACK, and CPU per gigabyte."""
