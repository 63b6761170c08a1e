"""Where runs are computed: here, in local worker processes, or on a Dask cluster."""
