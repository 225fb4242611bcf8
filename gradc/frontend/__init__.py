"""How a program becomes a graph: a plain NumPy function is called once with traced arrays.

``tracing`` is the entry: it calls the function and gives the graph. ``tracer`` is the traced array, with
``operators``, ``methods`` and ``conversions``; ``ufuncs`` and ``arrayfunctions`` are NumPy's two protocols,
``numpy_api`` the meaning of NumPy's functions in ops. ``session`` is one trace in progress, ``storage`` gives in-place
code its meaning. ``names``, ``bytecode``, ``frames`` and ``lines`` find the user's names and lines. ``intercept``
stands in for functions that do not dispatch: those of ``creation`` make arrays, those of ``draws`` are refused;
``reach`` finds what a function can name, ``callee`` who calls. ``sizes`` are symbolic sizes, ``tree`` are pytrees,
``layout`` binds calls to signatures.
"""
