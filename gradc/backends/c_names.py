"""Names in C: what comes from outside is made an identifier that means nothing else to C and C++."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from gradc.errors import ArgumentError

_KEYWORDS: Final = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex
_Imaginary alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl concept
consteval constexpr constinit const_cast co_await co_return co_yield decltype delete dynamic_cast explicit export
false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public
reinterpret_cast requires static_assert static_cast template this thread_local throw true try typeid typename
typeof typeof_unqual using virtual wchar_t xor xor_eq
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())
"""The keywords of C up to C23 and of C++ up to C++20."""

_MACROS: Final = """
assert errno NULL EOF I complex imaginary unix linux i386 near far min max stdin stdout stderr offsetof signbit
isnan isinf isfinite isnormal fpclassify va_arg va_copy va_end va_start setjmp NAN INFINITY HUGE_VAL interface small
size_t ptrdiff_t intptr_t uintptr_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
INT8_C INT16_C INT32_C INT64_C UINT8_C UINT16_C UINT32_C UINT64_C INTMAX_C UINTMAX_C SIZE_MAX PTRDIFF_MAX
"""
MACROS: Final = frozenset(_MACROS.split())
"""Names that headers of C or a compiler's own dialect define, as macros or types."""

_LIBRARY: Final = """
abort abs acos acosh asin asinh atan atan2 atanh atexit atof atoi atol atoll bsearch calloc cbrt ceil clock close
copysign cos cosh ctime difftime div erf erfc exit exp exp2 expm1 fabs fclose fdim feof ferror fflush fgetc fgets
floor fma fmax fmin fmod fopen fputc fputs fread free freopen frexp fseek ftell fwrite gamma getc getchar getenv
gets gmtime hypot ilogb index isalnum isalpha iscntrl isdigit isgraph islower isprint ispunct isspace isupper
isxdigit j0 j1 jn labs ldexp lgamma link llabs lldiv llrint llround localtime log log10 log1p log2 logb longjmp
lrint lround main malloc memchr memcmp memcpy memmove memset mktime modf nan nearbyint nextafter nexttoward open
perror pipe pow printf putc putchar puts qsort raise rand read realloc remainder remove remquo rename rewind rint
rindex round scalbln scalbn scanf signal sin sinh snprintf sprintf sqrt srand sscanf strcat strchr strcmp strcoll
strcpy strcspn strerror strftime strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok
strtol strtold strtoll strtoul strtoull strxfrm system tan tanh tgamma time tmpfile tmpnam tolower toupper trunc
ungetc vprintf wait write y0 y1 yn
"""
LIBRARY: Final = frozenset(_LIBRARY.split())
"""Functions of C's library, and of the systems around it, that a symbol must not take the place of.
The ``f`` and ``l`` forms of the mathematical ones count too."""

LONGEST: Final = 40

LONGEST_SYMBOL: Final = 200
"""Names of files are made of symbols, and have at most 255 characters on most systems."""


def require_symbol(name: str) -> None:
    """Raise ArgumentError for a name that a function of a C library cannot have."""
    if not isinstance(name, str):
        raise ArgumentError(f"name={name!r} is no string; give the name of the function")
    if len(name) > LONGEST_SYMBOL:
        raise ArgumentError(f"name={name[:20]!r}... has {len(name)} characters; choose at most {LONGEST_SYMBOL}")
    stem = name.removesuffix("f").removesuffix("l")
    if name in KEYWORDS:
        raise ArgumentError(f"name={name!r} is a keyword of C or C++; choose another name")
    if name == "std":
        raise ArgumentError(f"name={name!r} is the namespace of C++'s library; choose another name")
    if name in LIBRARY or name in MACROS or stem in LIBRARY:
        raise ArgumentError(f"name={name!r} is a name of the C library; choose another name")
    if name.startswith("_") or "__" in name:
        raise ArgumentError(f"name={name!r} is reserved in C for its underscores; choose another name")
    if not (name.isascii() and name.isidentifier()):
        raise ArgumentError(f"name={name!r} is not an identifier of C; choose letters, digits and underscores")


def identifier(wanted: str, fallback: str = "x") -> str:
    """An identifier of C that reads like ``wanted``: Greek letters by name, what cannot stand in one as ``_``."""
    text = "".join(map(_ascii, unicodedata.normalize("NFKC", wanted)))
    name = re.sub(r"[^A-Za-z0-9]+", "_", text)[:LONGEST].strip("_")
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}"
    return f"{name}_" if name in KEYWORDS or name in MACROS else name


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    kind, _, letter = unicodedata.name(character, "").rpartition(" ")
    if kind not in ("GREEK SMALL LETTER", "GREEK CAPITAL LETTER"):
        return "_"
    spelled = letter.lower().replace("lamda", "lambda")
    return spelled if "SMALL" in kind else spelled.capitalize()


class Names:
    """Gives out identifiers, each once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, wanted: str, fallback: str = "x") -> str:
        """A free identifier like ``wanted``: itself, or with a number behind it."""
        name = free = identifier(wanted, fallback)
        number = 2
        while free in self._taken:
            free = f"{name.rstrip('_')}_{number}"
            number += 1
        self._taken.add(free)
        return free


def in_comment(text: str) -> str:
    """One line that a comment of C can hold: nothing from outside ends it, opens another, or makes a trigraph."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return re.sub(r"\?(?=\?)", "? ", line).replace("*/", "* /").replace("/*", "/ *").rstrip("\\")
