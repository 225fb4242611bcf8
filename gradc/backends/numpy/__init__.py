"""The NumPy backend: a graph as readable source that needs NumPy alone."""

from gradc.backends.numpy.load import load
from gradc.backends.numpy.render import flat_entry, render

__all__ = ["flat_entry", "load", "render"]
