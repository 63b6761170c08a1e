"""Measuring an emulated path before anything is believed about it, and refusing what is wrong."""
