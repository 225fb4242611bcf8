"""gradc beside other tools and hand-written code on the same gradients."""
