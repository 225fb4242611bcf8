"""Contractions as tiled matrix multiplies with explicit vectors, each specialised to its shape and strides."""
