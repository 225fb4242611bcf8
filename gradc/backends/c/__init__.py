"""Loop programs as C source."""

from gradc.backends.c.render import render

__all__ = ["render"]
