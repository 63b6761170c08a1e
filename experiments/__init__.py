"""Manifests, sweeps, runs, figures, claims, the report and the command line."""
