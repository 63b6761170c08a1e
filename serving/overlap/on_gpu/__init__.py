"""What measures overlap on a GPU: this folder alone, Python >= 3.10 and PyTorch >= 2.6.

Copy the folder to the machine with the GPU and go to where it lies; nothing else is needed:

    python -m on_gpu overlap --help    # GEMMs beside decode attention, over a grid of amounts
    python -m on_gpu engine --help     # whole batch steps, in the order of a schedule
"""
