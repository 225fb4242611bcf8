"""Algorithms on whole matrices, as internal functions of a loop program."""
