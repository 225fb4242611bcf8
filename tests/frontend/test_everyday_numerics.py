"""Everyday NumPy: numerical methods, written out and with NumPy's and SciPy's functions."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.linalg
import scipy.signal
import scipy.special
from scipy.special import expit

from tests.frontend.everyday import Programs

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 5))
V, W = RNG.normal(size=6), RNG.normal(size=6)
S = RNG.normal(size=(3, 3))
P = np.abs(RNG.normal(size=5)) + 0.3

PROGRAMS = Programs()


@PROGRAMS.enter(P, complex_step=True)
def errstate(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(p > 0.5, np.log(p - 0.5), 0.0)
        z = np.divide(1.0, p - p, out=np.zeros_like(p), where=p < 0)
    return y, z, np.nan_to_num(y)


@PROGRAMS.enter(V, complex_step=True)
def running_statistics(v):
    mean, m2 = 0.0, 0.0
    for n, x in enumerate(v, start=1):
        delta = x - mean
        mean += delta / n
        m2 += delta * (x - mean)
    return mean, m2 / (len(v) - 1)


@PROGRAMS.enter(S, X)
def matrix_ops(s, x):
    spd = s @ s.T + 3 * np.eye(3)
    q, r = np.linalg.qr(spd)
    return (
        np.linalg.solve(spd, x[:3]),
        np.linalg.inv(spd).trace(),
        np.linalg.det(spd),
        np.linalg.slogdet(spd)[1],
        np.linalg.cholesky(spd),
        np.linalg.eigvalsh(spd),
        r.diagonal(),
        np.kron(s, s[:1]),
        np.linalg.matrix_power(s, 3),
        np.linalg.norm(s, axis=1),
        np.triu(s, 1) + np.tril(s, -1),
        np.vander(s[0], 3),
    )


@PROGRAMS.enter(X, complex_step=True)
def stencils(x):
    u = np.pad(x, 1)
    lap = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]
    g = np.zeros_like(x)
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            g[i, j] = (x[i + 1, j] - x[i - 1, j]) ** 2 + np.sum(x[i - 1 : i + 2, j - 1 : j + 2])
    for _ in range(3):
        x = x + 0.1 * np.pad(np.diff(x, 2, axis=0), ((1, 1), (0, 0)))
        x[0] = x[-1] = 0
    return lap, g, x, np.roll(x, 1, axis=0) - x, np.gradient(x, axis=1)


@PROGRAMS.enter(S)
def gaussian_elimination(s):
    a = s + 4 * np.eye(3)
    n = len(a)
    b = np.arange(1.0, n + 1)
    for k in range(n - 1):
        for i in range(k + 1, n):
            m = a[i, k] / a[k, k]
            a[i, k:] -= m * a[k, k:]
            b[i] -= m * b[k]
    x = np.empty(n)
    for i in reversed(range(n)):
        x[i] = (b[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x


@PROGRAMS.enter(S, complex_step=True)
def hand_written_cholesky(s):
    a = s @ s.T + np.eye(3)
    l = np.zeros_like(a)
    for i in range(3):
        for j in range(i + 1):
            t = a[i, j] - l[i, :j] @ l[j, :j]
            l[i, j] = np.sqrt(t) if i == j else t / l[j, j]
    return l


@PROGRAMS.enter(V, complex_step=True)
def runge_kutta(v):
    def f(t, y):
        return np.array([y[1], -np.sin(y[0]) - v[2] * y[1] + v[3] * np.cos(t)])

    y, t, h = np.array([v[0], v[1]]), 0.0, 0.05
    path = [y]
    for _ in range(5):
        k1 = f(t, y)
        k2 = f(t + h / 2, y + h / 2 * k1)
        k3 = f(t + h / 2, y + h / 2 * k2)
        k4 = f(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t += h
        path.append(y)
    return np.array(path), np.array(path)[:, 0].max() - path[-1][1]


@PROGRAMS.enter(V, complex_step=True)
def newton_iterations(v):
    x = np.abs(v) + 1
    for _ in range(6):
        x = x - (x**2 - 2 - v**2) / (2 * x)
    return x


@PROGRAMS.enter(X)
def softmax_and_friends(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    lse = np.log(np.exp(x).sum(axis=-1))
    xc = (x - x.mean(0)) / (x.std(0) + 1e-5)
    onehot = np.eye(5)[[0, 2, 1, 4]]
    return (
        p,
        lse,
        xc,
        -(onehot * np.log(p)).sum() / len(x),
        p[np.arange(4), [0, 2, 1, 4]],
        np.cov(x),
        np.corrcoef(x[:2]),
    )


@PROGRAMS.enter(X, complex_step=True)
def attention(x):
    q, k, v = (x @ np.full((5, 5), 0.1 * (i + 1)) for i in range(3))
    scores = q @ k.T / np.sqrt(q.shape[-1])
    mask = np.triu(np.ones((4, 4), bool), k=1)
    scores[mask] = -1e9
    a = np.exp(scores - scores.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    heads = np.stack(np.split((a @ v)[:, :4], 2, axis=1)).transpose(1, 0, 2).reshape(4, -1)
    return a @ v, heads


@PROGRAMS.enter(X)
def convolution_loops(x):
    k = np.array([[1.0, -1], [0.5, 2]]) * x[0, 0]
    h, w = x.shape[0] - 1, x.shape[1] - 1
    out = np.zeros((h, w))
    for i, j in itertools.product(range(h), range(w)):
        out[i, j] = np.sum(x[i : i + 2, j : j + 2] * k)
    pooled = x[:4, :4].reshape(2, 2, 2, 2).max(axis=(1, 3))
    win = np.lib.stride_tricks.sliding_window_view(x, (2, 2))
    return (
        out,
        pooled,
        np.einsum("ijkl,kl->ij", win, k),
        np.convolve(x[0], [1, 2, 3], "same"),
        np.correlate(x[1], x[2][:2], "valid"),
    )


@PROGRAMS.enter(V, complex_step=True)
def polynomials(v):
    h = 0.0
    for c in v[::-1]:
        h = h * 0.7 + c
    return (
        h,
        np.polyval(v[::-1], 0.7),
        np.polyval(np.polyder(v), 2.0),
        np.poly(v[:3]),
        np.polymul(v[:2], v[2:4]),
        np.polyadd(v[:2], v[:3]),
        np.vander(v[:3]) @ v[:3],
    )


@PROGRAMS.enter(V, W)
def interpolation(v, w):
    xs = np.linspace(0, 1, 6)
    return (
        np.interp([0.1, 0.55], xs, v),
        np.interp(np.abs(v) / 3, xs, w),
        np.trapezoid(v, xs),
        np.diff(v) / np.diff(xs),
        np.cumsum(v)[::-1],
        np.searchsorted(xs, 0.5) * v,
        np.digitize(0.5, xs) * w,
        np.histogram(v, bins=3, range=(-2, 2))[0] * w[0],
        np.percentile(v, 30),
        np.median(v),
        np.ptp(v),
        np.average(v, weights=np.abs(w)),
    )


@PROGRAMS.enter(V)
def fourier(v):
    f = np.fft.rfft(v)
    f[2:] = 0
    y = np.fft.irfft(f, len(v))
    k = np.fft.fftfreq(6)
    d = np.fft.ifft(1j * k * np.fft.fft(v)).real
    return y, d, np.abs(f) ** 2, np.fft.fftshift(v)


@PROGRAMS.enter(V, W)
def many_ufuncs(v, w):
    a = np.abs(v) + 0.1
    return (
        np.arctan2(v, w),
        np.hypot(v, w),
        np.expm1(v),
        np.log1p(a),
        np.sign(v) * v,
        np.floor(v) * v,
        np.fmod(v, 0.7),
        np.remainder(v, 0.7),
        v % a,
        v // 0.5 * v,
        -v,
        +v,
        abs(v),
        v**2,
        a**v,
        2**v,
        a**-0.5,
        np.power(a, w),
        np.cbrt(v),
        np.square(v),
        np.reciprocal(a),
        np.sinc(v),
        np.heaviside(v, 0.5) * v,
        np.copysign(a, v),
        np.fmax(v, w),
        np.rint(v) * v,
        np.logaddexp(v, w),
        np.float_power(a, 2),
        np.deg2rad(v),
        np.clip(v, None, 0.3),
        np.maximum.reduce(np.stack([v, w])),
        divmod(v, 0.5)[1],
        np.isfinite(v) * v,
        np.trunc(v) * w,
    )


@PROGRAMS.enter(V)
def complex_numbers(v):
    z = v[:4] + 1j * v[2:]
    w = z * np.exp(1j * v[:4])
    u = np.abs(w) ** 2 + w.real * w.imag
    t = np.zeros(4, complex)
    t[1] = v[0] + 1j * v[1]
    t += z
    r = np.angle(t) + (z * z.conj()).real
    return u, t.real, t.imag.sum(), r, np.abs(np.vdot(z, t)), np.sqrt(t * t).real, np.isreal(v).sum() * v[0]


@PROGRAMS.enter(P)
def special_functions(p):
    from scipy import special

    return (
        expit(p),
        special.gammaln(p),
        scipy.special.erf(p),
        special.softmax(p),
        special.logsumexp(p),
        special.xlogy(p, p),
        special.logit(p / 5),
        special.digamma(p + 1),
        special.betaln(p, 2.0),
        scipy.special.log1p(p),
        special.entr(p),
        scipy.special.ndtr(p),
        special.huber(1.0, p),
    )


@PROGRAMS.enter(S)
def scipy_linear_algebra(s):
    a = s @ s.T + np.eye(3)
    c = scipy.linalg.cho_factor(a, lower=True)
    return (
        scipy.linalg.cholesky(a, lower=True),
        scipy.linalg.solve_triangular(np.tril(a), s, lower=True),
        scipy.linalg.cho_solve(c, s[0]),
        scipy.linalg.expm(0.1 * s),
        scipy.linalg.block_diag(s, 2.0),
        scipy.linalg.toeplitz(s[0]),
    )


@PROGRAMS.enter(V, complex_step=True)
def filters(v):
    b, a = [0.2, 0.3], [1.0, -0.5]
    y = np.zeros_like(v)
    for n in range(len(v)):
        y[n] = sum(b[k] * v[n - k] for k in range(2) if n - k >= 0) - (a[1] * y[n - 1] if n else 0)
    return y, scipy.signal.lfilter(b, a, v), scipy.signal.convolve(v, [1, 2, 1], mode="same"), np.convolve(v, v[:2])


@PROGRAMS.enter(S)
def power_iteration(s):
    a = s @ s.T
    b = np.ones(3)
    for _ in range(8):
        b = a @ b
        b /= np.linalg.norm(b)
    return b @ a @ b, np.outer(b, b)


@PROGRAMS.enter(V, W, complex_step=True)
def gram_schmidt(v, w):
    basis = []
    for u in np.stack([v, w, v * w]):
        u = u.copy()
        for q in basis:
            u -= (q @ u) * q
        basis.append(u / np.sqrt(u @ u))
    return np.array(basis)


test_value, test_gradient = PROGRAMS.tests()
