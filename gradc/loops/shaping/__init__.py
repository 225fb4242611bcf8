"""Passes over loop programs."""
