"""Everyday NumPy: classes, dataclasses, namedtuples, and objects with operators of their own."""

from __future__ import annotations

import abc
import collections
import functools
import math
import types
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy import linalg as la
from numpy import pi
from numpy import sin as sine

from tests.frontend.everyday import Programs

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 5))
V, W = RNG.normal(size=6), RNG.normal(size=6)
S = RNG.normal(size=(3, 3))
P = np.abs(RNG.normal(size=5)) + 0.3

PROGRAMS = Programs()


class Layer(abc.ABC):
    registry: dict = {}

    def __init_subclass__(cls, **kw):
        super().__init_subclass__(**kw)
        Layer.registry[cls.__name__] = cls

    @abc.abstractmethod
    def __call__(self, x): ...


class Dense(Layer):
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        self.last = x
        return x @ self.w + self.b


class Act(Layer):
    def __init__(self, fn):
        self.fn = fn

    def __call__(self, x):
        return self.fn(x)


class Net:
    def __init__(self, *layers):
        self.layers = layers

    def __call__(self, x):
        return functools.reduce(lambda h, layer: layer(h), self.layers, x)

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, i):
        return self.layers[i]

    @property
    def depth(self):
        return len(self)


@PROGRAMS.enter(X, S, complex_step=True)
def classes(x, s):
    net = Net(Dense(x.T @ x[:, :3], s[0]), Act(np.tanh), Layer.registry["Dense"](s, 0.0), Act(lambda h: h * (h > 0)))
    y = net(x)
    return y * net.depth, net[0].last.sum(), net[0].calls * y


class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, o):
        return Vector(self.x + o.x, self.y + o.y)

    def __mul__(self, k):
        return Vector(self.x * k, self.y * k)

    __rmul__ = __mul__

    def __neg__(self):
        return -1 * self

    def __abs__(self):
        return np.hypot(self.x, self.y)

    def __iter__(self):
        yield self.x
        yield self.y

    def __eq__(self, o):
        return isinstance(o, Vector) and self.x is o.x

    __hash__ = None

    def dot(self, o):
        return self.x * o.x + self.y * o.y


@PROGRAMS.enter(V)
def operator_overloading(v):
    a, b = Vector(v[0], v[1]), Vector(v[2], v[3])
    c = a + 2 * b * v[4] + -a * 0.5
    x, y = c
    return abs(c), c.dot(a), x * y, (a == a) * x


@PROGRAMS.enter(V, complex_step=True)
def scalar_times_object(v):
    b = Vector(v[2], v[3])
    c = v[4] * b
    return c.x, c.y


@dataclass
class State:
    position: Any
    velocity: Any
    time: float = 0.0
    history: list = field(default_factory=list)

    def step(self, dt, force):
        v = self.velocity + dt * force(self.position)
        return replace(
            self, position=self.position + dt * v, velocity=v, time=self.time + dt, history=[*self.history, v]
        )


@PROGRAMS.enter(V, W, complex_step=True)
def dataclass_states(v, w):
    s = State(v, w)
    for _ in range(4):
        s = s.step(0.1, lambda q: -np.sin(q))
    return s.position, s.velocity, s.time * v, np.stack(s.history).mean(axis=0)


class Params(NamedTuple):
    scale: Any
    shift: Any = 0.0


@PROGRAMS.enter(V, complex_step=True)
def namedtuples(v):
    p = Params(v[:2], v[2])
    q = p._replace(shift=v[3] * 2)
    Point = collections.namedtuple("Point", "x y")
    r = Point(*v[4:])
    return q.scale * q.shift + p.shift, r.x - r.y, p._asdict()["scale"][0], sum(r)


@dataclass(frozen=True)
class Config:
    width: int = 3
    rate: float = 0.1
    name: str = "net"


@dataclass
class Tree:
    left: Any = None
    right: Any = None
    value: Any = None


@PROGRAMS.enter(V, complex_step=True)
def dataclass_trees(v):
    c = Config(rate=0.5)
    t = Tree(Tree(value=v[0]), Tree(Tree(value=v[1]), Tree(value=v[2] * c.rate)))

    def fold(t):
        return t.value if t.value is not None else fold(t.left) * 2 + fold(t.right)

    u = replace(t, left=Tree(value=v[3]))
    d = asdict(u)
    return (
        fold(t),
        fold(u),
        d["left"]["value"] * 2,
        [getattr(c, f.name) for f in fields(c)][0] * v,
        astuple(Tree(v[0], v[1]))[1],
    )


class Signal:
    """A container with NumPy's protocols."""

    def __init__(self, data, rate=2.0):
        self._data, self.rate = data, rate

    def __len__(self):
        return len(self._data)

    def __getitem__(self, i):
        return Signal(self._data[i], self.rate) if isinstance(i, slice) else self._data[i]

    def __setitem__(self, i, v):
        self._data[i] = v

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._data, name)

    @property
    def power(self):
        return (self._data**2).mean()

    @power.setter
    def power(self, p):
        self._data = self._data * np.sqrt(p / self.power)

    @classmethod
    def join(cls, *parts):
        return cls(np.concatenate([p._data for p in parts]))

    @staticmethod
    def window(n):
        return np.hanning(n)


@PROGRAMS.enter(V, W, complex_step=True)
def wrapper_objects(v, w):
    s = Signal(v.copy())
    s[0] = 3 * s[1]
    s.power = 2.0
    t = Signal.join(s[1:4], Signal(w)[::2])
    return s._data, t._data, t.mean(), len(t) * s.power, s.shape[0] * s[2], Signal.window(6) * v


class Arrayable:
    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data)


@PROGRAMS.enter(V, complex_step=True)
def objects_with_array(v):
    return np.sin(np.asarray(Arrayable(v)))


class Dual:
    def __init__(self, a, b=0.0):
        self.a, self.b = a, b

    def __add__(self, o):
        o = o if isinstance(o, Dual) else Dual(o)
        return Dual(self.a + o.a, self.b + o.b)

    __radd__ = __add__

    def __mul__(self, o):
        o = o if isinstance(o, Dual) else Dual(o)
        return Dual(self.a * o.a, self.a * o.b + self.b * o.a)

    __rmul__ = __mul__

    def __sub__(self, o):
        return self + -1 * o

    def __rsub__(self, o):
        return -1 * self + o

    __array_ufunc__ = None


@PROGRAMS.enter(V, complex_step=True)
def dual_numbers(v):
    d = Dual(v[0], 1.0)
    e = v[1] * d * d + 3.0 - v[2] * d
    f = v * d
    g = 2.0 - v + d
    return e.a, e.b, f.a, f.b, g.a, (v[0] - d).b * v


class Priority:
    __array_priority__ = 100

    def __init__(self, data):
        self.data = data

    def __rmul__(self, o):
        return Priority(o * self.data)

    def __rmatmul__(self, o):
        return Priority(o @ self.data)


@PROGRAMS.enter(S, complex_step=True)
def array_priority(s):
    return (s * Priority(s.T)).data, (s @ Priority(s)).data, (s[0, 0] * Priority(s)).data


@PROGRAMS.enter(V, complex_step=True)
def comparisons_with_others(v):
    axis = v[0]
    a = v if axis == "all" else v * 2
    b = a if axis != None else v  # noqa: E711
    c = b if v[1] in ("x", "y") else b + 1
    return c, (3 == "3") + v


class Optimizer:
    def __init__(self, lr=0.1):
        self.lr, self.t, self.m = lr, 0, None

    def __call__(self, p, g):
        self.t += 1
        self.m = np.zeros_like(p) if self.m is None else self.m
        self.m = 0.9 * self.m + 0.1 * g
        p -= self.lr * self.m / (1 - 0.9**self.t)
        return p


@PROGRAMS.enter(V, W, complex_step=True)
def optimizer_objects(v, w):
    opt, p = Optimizer(), v.copy()
    for _ in range(3):
        p = opt(p, p * w)
    return p, opt.m * opt.t


@PROGRAMS.enter(V)
def namespace_state(v):
    s = types.SimpleNamespace(x=v, n=0)
    while s.n < 3:
        s.x = s.x * 0.5 + s.n
        s.n += 1
    d = collections.OrderedDict(a=s.x)
    d["b"] = d["a"] + 1
    d.move_to_end("a")
    dd = collections.defaultdict(lambda: np.zeros(2))
    dd["k"] += v[:2]
    dd["k"] += 1
    q = collections.deque([v[0]], maxlen=3)
    for k in v:
        q.append(k * 2)
    cm = collections.ChainMap({"a": v}, {"b": v * 2})
    return list(d.values()), dd["k"], sum(q), cm["b"], s.x, vars(s)["n"] * v, setattr(s, "y", v) or s.y


@PROGRAMS.enter(V)
def module_alias(v):
    import numpy
    import numpy as xp
    from numpy import linalg

    m = types.SimpleNamespace(exp=np.exp, zeros=xp.zeros, pi=math.pi)
    b = m.zeros(6)
    b[0] = v[0]
    b[1:] = m.exp(v[1:]) * m.pi
    return b, numpy.cos(v), linalg.norm(v), la.norm(v, 1), sine(v) * pi, xp.where(v > 0, xp.inf, v).min(), np.e * v


test_value, test_gradient = PROGRAMS.tests()
