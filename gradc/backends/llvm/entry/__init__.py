"""The way from a Python call to a kernel's machine code without Python in between.

``native`` is the type that Function and Kernel derive from, ``plan`` says what a call looks like, ``emit`` writes its
checks, unboxing and results as IR, ``runtime`` the parts that all entries share, ``load`` links them, and ``abi`` holds
what is known of the layout of CPython's and NumPy's objects. Where nothing is known, calls stay in Python.
"""
