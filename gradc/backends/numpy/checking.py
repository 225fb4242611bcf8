"""The function ``_arguments`` of a generated module: it checks the arguments and takes the arrays out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradc.backends.numpy.boundary import check_name, key_text, literal_text, quoted
from gradc.backends.numpy.expressions import dtype_text
from gradc.backends.numpy.symbols import renamed
from gradc.ir.aval import Aval, Dim, SymbolicDim
from gradc.ir.signature import KEYS_BY_NAME, Branch, Leaf, Signature, Static, Tree


@dataclass(frozen=True, slots=True)
class Check:
    """One call in ``_arguments``; that of input ``leaf`` gives an array, those of containers nothing."""

    code: str
    leaf: int | None = None


def argument_rows(signature: Signature, avals: Sequence[Aval]) -> list[str]:
    """The statements of ``_arguments``: containers first, so that no leaf is looked for in what has none."""
    made = [
        check
        for argument in signature.arguments
        for check in _checks(argument.tree, argument.name, argument.name, avals)
    ]
    by_leaf = {check.leaf: check.code for check in made if check.leaf is not None}
    rows = [check.code for check in made if check.leaf is None]
    arrays = [by_leaf[leaf] for leaf in leaf_order(signature, avals)]
    if len(arrays) == 1:
        return [*rows, "_sizes = {}", f"return {arrays[0]}"]
    if arrays:
        rows += ["_sizes = {}", "return (", *(f"    {code}," for code in arrays), ")"]
    return rows


def leaf_order(signature: Signature, avals: Sequence[Aval]) -> list[int]:
    """The inputs in the order of the arguments; those with a computed size last, when all sizes are known."""
    leaves = [leaf for leaf, _, _ in signature.input_paths()]
    return sorted(leaves, key=lambda leaf: any(_is_computed(d) for d in avals[leaf].shape))


def _checks(tree: Tree, code: str, shown: str, avals: Sequence[Aval]) -> Iterable[Check]:
    if isinstance(tree, Leaf):
        aval = avals[tree.index]
        yield Check(f"_array({quoted(shown)}, {code}, {dtype_text(aval.dtype)}, {_shape(aval)}, _sizes)", tree.index)
    elif isinstance(tree, Static):
        helper = "_named" if tree.named else "_static"
        value = quoted(tree.text) if tree.named else literal_text(tree.text)
        yield Check(f"{helper}({quoted(shown)}, {code}, {value})")
    else:
        yield from _branch_checks(tree, code, shown, avals)


def _branch_checks(tree: Branch, code: str, shown: str, avals: Sequence[Aval]) -> Iterable[Check]:
    if tree.kind in KEYS_BY_NAME:
        fields = ", ".join(quoted(str(key)) for key in tree.keys)
        yield Check(f"_fields({quoted(shown)}, {code}, [{fields}])")
    elif tree.kind == "dict":
        yield Check(f"_keys({quoted(shown)}, {code}, [{', '.join(map(key_text, tree.keys))}])")
    else:
        yield Check(f"_items({quoted(shown)}, {code}, {quoted(tree.kind)}, {len(tree.children)})")
    for key, child in zip(tree.keys, tree.children, strict=True):
        if tree.kind in KEYS_BY_NAME:
            check_name(str(key))
            step = f".{key}"
        else:
            step = f"[{key_text(key)}]"
        yield from _checks(child, code + step, shown + step, avals)


def _shape(aval: Aval) -> str:
    """The expected shape: numbers, the names of symbolic sizes, and expressions of sizes that are known by then."""
    parts = [_size(d) for d in aval.shape]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _size(dim: Dim) -> str:
    if not isinstance(dim, SymbolicDim):
        return str(dim)
    if not _is_computed(dim):
        return quoted(str(dim))
    return str(renamed(dim, {symbol: f"_sizes[{quoted(symbol)}]" for symbol in dim.symbols}))


def _is_computed(dim: Dim) -> bool:
    return isinstance(dim, SymbolicDim) and str(dim) not in dim.symbols
