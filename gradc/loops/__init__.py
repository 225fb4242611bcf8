"""Loop programs, between a graph and LLVM or C. Each room imports only those below it:

lowering    from a graph to a loop program
shaping     passes over loop programs: merging, splitting, dividing, and where arrays live
algebra     whole algorithms on matrices, as internal functions: factors, eigenvalues, singular values
language    what a loop program is: its data types, laws, text, and what can be known of a statement
"""
