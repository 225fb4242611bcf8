"""Everyday NumPy: writes in place, through views, views of views, attributes and aliases."""

from __future__ import annotations

import numpy as np

from tests.frontend.everyday import Programs

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 5))
V, W = RNG.normal(size=6), RNG.normal(size=6)
S = RNG.normal(size=(3, 3))
P = np.abs(RNG.normal(size=5)) + 0.3

PROGRAMS = Programs()


@PROGRAMS.enter(X, complex_step=True)
def rolling_update_in_place(x):
    y = x.copy()
    y[1:] += y[:-1]
    y[:, 1:] -= 0.5 * y[:, :-1]
    return y


@PROGRAMS.enter(X, complex_step=True)
def overlapping_slices(x):
    y = x.copy()
    y[1:] = y[:-1]
    y[::-1, 0] = y[:, 1]
    y[:, ::2][...] = y[:, ::-2]
    return y


@PROGRAMS.enter(X, complex_step=True)
def swapaxes_then_write(x):
    y = x.copy()
    t = y.swapaxes(0, 1)
    t[2] = 3 * t[1]
    t[0, ::-1] += t[4]
    u = np.moveaxis(y[None], 0, -1)
    u[0, :, 0] *= x[1]
    return y, t, u.sum()


@PROGRAMS.enter(V, complex_step=True)
def views_of_views(v):
    a = v.copy()
    b = a[::2]
    c = b[::-1]
    c[0] = 10 * a[0]
    c += 1
    b[1:] *= c[:2]
    return a, b, c


@PROGRAMS.enter(X, complex_step=True)
def reshape_view(x):
    y = x.copy()
    flat = y.reshape(-1)
    flat[3:7] = x.ravel()[-4:]
    y.reshape(2, 10)[1] *= 2
    y.ravel()[0] = 7 * x[0, 1]
    return y, flat[5]


@PROGRAMS.enter(X, complex_step=True)
def negative_steps(x):
    y = x[::-1, ::-2].copy()
    y[-1::-2, -1] = x[0, :2]
    return y, x[-2:0:-1], x[..., ::-1][1], x[::-1][::-1][2]


@PROGRAMS.enter(V, W)
def buffers_with_out(v, w):
    a = np.empty_like(v)
    np.multiply(v, w, out=a)
    np.add(a, 1, out=a)
    np.exp(a, a)
    b = np.empty((6, 6))
    np.outer(v, w, out=b)
    np.cumsum(a, out=a)
    c = np.zeros(6)
    np.dot(b, v, out=c)
    np.sum(b, axis=0, out=a[:])
    np.maximum(a, c, out=c)
    np.clip(a, -1, 1, out=a)
    return a, b, c


@PROGRAMS.enter(X, complex_step=True)
def tuple_swaps(x):
    y = x.copy()
    y[0], y[1] = y[1].copy(), y[0].copy()
    y[[2, 3]] = y[[3, 2]]
    a, b = y[0], y[1]
    a[0], b[0] = b[0], a[0]
    a, b = b, a
    return y, a, b


@PROGRAMS.enter(X, complex_step=True)
def aliased_swap(x):
    y = x.copy()
    y[0], y[1] = y[1], y[0]
    return y


@PROGRAMS.enter(V, W, complex_step=True)
def augmented_aliases(v, w):
    a = v * 1
    b = a
    b += w
    c = a
    c = c + 1
    s = a[0]
    s += 5
    d = [a, a]
    d[0] -= 1
    e = {"k": a}
    e["k"] *= 2
    return a, b, c, s, d[1], e["k"]


@PROGRAMS.enter(X, complex_step=True)
def chained_subscripts(x):
    y = x.copy()
    y[1][2] = 7 * y[0][0]
    y[[0, 1]][0] = 100  # a copy: no effect
    y[2, :][y[2, :] > 0] = 0
    y[:, 1][::2] += 3
    y[-1][-1] -= y[-2][-2]
    return y


@PROGRAMS.enter(X, complex_step=True)
def split_views_are_written(x):
    y = x.copy()
    top, bottom = np.split(y, 2)
    top[:] = bottom * 2
    bottom *= 0.5
    left, *rest = np.hsplit(y, [1, 3])
    left += 1
    rest[1][:, 0] = 9
    a, b = np.atleast_2d(y[0]), np.squeeze(y[None, 1])
    a[0, 0] = 4
    b[1] = 3
    np.flip(y, 1)[0, 0] = -2
    np.rot90(y)[0, 1] = -5
    y.T[2] -= 1
    y[..., np.newaxis][0, 1, 0] = 6
    np.transpose(y, (1, 0))[3, 3] = 2
    y.view()[2, 2] = 11
    np.asarray(y)[3, 0] = 12
    np.array(y)[3, 1] = 1e9
    np.expand_dims(y, 0)[0, 3, 2] = 8
    return y


@PROGRAMS.enter(X, complex_step=True)
def out_of_place_or_not(x):
    y = x.copy()

    def inplace(a):
        a += 1
        a[0] = 0

    def rebinding(a):
        a = a + 1
        a[0] = 0
        return a

    inplace(y)
    z = rebinding(y)
    inplace(y[2:])
    inplace(y[:, 3].copy())
    inplace(y[:, 1])
    y[:] = y * 2
    y[...] = y[::-1]
    y.fill(y[0, 0])
    y[1] = [1, 2, 3, 4, x[0, 0]]
    y[2] = range(5)
    y[:, 4] = x[0, 1], 1.0, x[2, 2], 0
    return y, z


@PROGRAMS.enter(V, W)
def in_place_operators(v, w):
    a = v.copy()
    a += 1
    a -= w
    a *= 2
    a /= 3
    a **= 2
    a //= 0.5
    a = a + v
    a %= 2.5
    b = np.arange(6)
    b += 3
    b <<= 1
    b |= 1
    b ^= 2
    b &= 0xF
    b >>= 1
    b //= 2
    b **= 2
    m = v > 0
    m &= w > 0
    m |= v > 1
    m ^= True
    c = a[:, None] * np.ones((1, 2))
    c @= np.array([[1.0, 2], [3, 4]])
    s = v[0]
    s += 1
    s *= s
    t = s
    t -= 1
    return a, b * v, m * w, c, s, t


@PROGRAMS.enter(X)
def write_through_transposes(x):
    y = np.zeros((5, 4))
    y.T[:] = x
    y.T[1, ::-1] *= 2
    y[:, 0], y[:, 1] = x[0] * 2, y[:, 0] * 3
    z = np.empty((2, 4, 5))
    z[0], z[1] = x, x[::-1]
    z[:, :, ::2].T[...] -= 1
    z.swapaxes(0, 2)[4, 3] = 0
    return y, z, z.reshape(8, 5)[::3]


@PROGRAMS.enter(V)
def ring_buffers(v):
    buf, head = np.zeros(4), 0
    out = []
    for x in v:
        buf[head % 4] = x
        head += 1
        out.append(buf.mean())
        buf = np.roll(buf, 1) if head == 3 else buf
    return np.array(out), buf


@PROGRAMS.enter(V)
def sliding_state(v):
    h = np.zeros(3)
    ys = np.empty((len(v), 3))
    for t, x in enumerate(v):
        h[1:] = h[:-1]
        h[0] = x
        ys[t] = h
        ys[t, ::-1] += 0.1 * h
    return ys, h


@PROGRAMS.enter(V)
def dtypes_in_place(v):
    f = np.linspace(-1, 2, 4, dtype=np.float32)
    a = f.copy()
    a += 1.5
    a *= v[:4]
    b = np.zeros(3, np.float32)
    b[:] = v[:3]
    b += np.float64(2.0)
    c = np.arange(4)
    c[1:] = [5, 6, 7]
    c //= 2
    d = c / 2 + v[0]
    e = np.zeros(4, dtype=int)
    e += c * 3
    g = (f > 0).astype(int)
    g += True
    return (
        a,
        b,
        c,
        d,
        e + f,
        g * v[0],
        np.float32(3) * f,
        f * np.float64(2),
        f.astype("f8") * v[:4],
        f.dtype.type(2) * f,
    )


@PROGRAMS.enter(V, W, complex_step=True)
def in_place_on_attributes(v, w):
    class Box:
        pass

    b = Box()
    b.a = v.copy()
    b.list = [w.copy()]
    b.a += w
    b.a[0] *= 2
    b.list[0][1:] -= b.a[:-1]
    view = b.list[0][::2]
    view[...] = 0
    b.n = 0
    b.n += 2
    b.s = v[0]
    b.s *= 3
    return b.a, b.list[0], view + b.n, b.s


@PROGRAMS.enter(X, V, complex_step=True)
def writes_into_nothing(x, v):
    y = x.copy()
    none = y[:, 4:4]
    none[...] = v[0]
    none += 1
    np.fill_diagonal(none, v[1])
    np.put(none, [], v[2])
    np.copyto(none, none * 2)
    np.add.at(y, ([], []), v[3])
    y[[]] = v[4]
    y[np.zeros(4, bool)] *= 5
    return y, none, y[3:1:-1][::-1]


test_value, test_gradient = PROGRAMS.tests()
