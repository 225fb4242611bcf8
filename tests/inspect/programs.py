"""Programs of every kind of op, for the truth of what explain tells where it has no textbook form."""

import numpy as np

random = np.random.default_rng(3)
M = random.normal(size=(3, 4))
N = random.normal(size=(4, 3))
R = random.normal(size=(2, 3, 4))
V = random.normal(size=4)


def indexing(w, x):
    z1 = w[0] * x[0] + w[1] * x[1]
    z2 = w[2] * x[0] + w[3] * x[1]
    return np.tanh(z1) * z2


def slices(x):
    d = x[1:] - x[:-1]
    r = x[::-2]
    return np.sum(d * d) + np.sum(r**3)


def in_place(x):
    buffer = np.zeros(4)
    for i in range(4):
        buffer[i] = x[i] ** 2 + (buffer[i - 1] if i else 0)
    return np.sum(buffer)


def branches(x):
    safe = np.where(x > 0, np.log(np.where(x > 0, x, 1)), x)
    clipped = np.clip(x, -0.5, 0.5)
    return np.sum(safe * clipped)


def joined(x, y):
    both = np.concatenate([x, y * 2])
    table = np.stack([both, both**2])
    return np.sum(table @ table.T)


def shapes(m, n):
    t = m.T.reshape(2, 6)
    s = np.transpose(n)[None, :, :]
    return np.sum(t) * np.mean(s) + np.sum(t[:, None, :] * t[None, :, :])


def statistics(m):
    centred = (m - m.mean(axis=0)) / np.sqrt(m.var(axis=0) + 1e-3)
    return np.sum(centred**3)


def extremes(m):
    return np.sum(m.max(axis=1) * m.min(axis=1)) + np.prod(m[0]) + np.max(m)


def products(m, n, v):
    a = m @ n
    b = np.einsum("ij,jk,kl->il", a, a, m)
    return np.sum(b @ v) + np.dot(v, v) + np.sum(np.outer(v, v) * 0.5)


def batched(r, n):
    return np.sum(np.tanh(r @ n) ** 2)


def norms(m):
    return np.sqrt(np.sum(m * m)) + np.sum(np.abs(m)) ** 1.5


def gathered(m):
    rows = np.array([0, 2, 2])
    return np.sum(m[rows] ** 2) + np.sum(np.take(m, [1, 1], axis=1))


def layer_norm(x, g, b):
    mean = np.mean(x, axis=-1, keepdims=True)
    spread = np.sqrt(np.mean((x - mean) ** 2, axis=-1, keepdims=True) + 1e-5)
    y = g * (x - mean) / spread + b
    return np.sum(y**2)


def attention(q, k, v):
    s = q @ k.T / np.sqrt(4.0)
    e = np.exp(s - np.max(s, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p @ v)


def powers(x, y):
    return np.sum(x**y) + np.sum(2.0**x) + np.sum(x**-2)


def odd_ops(x):
    return (
        np.sum(x % 0.7) + np.sum(np.floor_divide(x, 0.3)) + np.sum(np.expm1(x) * np.sign(x)) + np.sum(np.log1p(x * x))
    )


def factors(m, v):
    lower = np.linalg.cholesky(m @ m.T + np.eye(3))
    u = np.linalg.solve(lower, v[:3])
    return 0.5 * u @ u + np.sum(np.log(np.diag(lower)))


def inverses(m):
    s = m @ m.T + 2 * np.eye(3)
    return np.linalg.slogdet(s)[1] + np.trace(np.linalg.inv(s)) + np.sum(np.tril(s) ** 2)


def chained(m, n, w):
    return np.einsum("ij,jk,ki->", m, n, w) + np.sum(np.einsum("ij,jk->ki", m, n) ** 2)


def factorial(m):
    return np.sum(np.prod(m, axis=1) ** 2) + np.sum(np.prod(m, axis=0, keepdims=True))


PROGRAMS = [
    (factors, (M, V)),
    (inverses, (M,)),
    (chained, (M, N, R[0, :, :3])),
    (factorial, (M,)),
    (indexing, (V, V[:2])),
    (slices, (V,)),
    (in_place, (V,)),
    (branches, (V,)),
    (joined, (V, V[::-1])),
    (shapes, (M, N)),
    (statistics, (M,)),
    (extremes, (M,)),
    (products, (M, N, V)),
    (batched, (R, N)),
    (norms, (M,)),
    (gathered, (M,)),
    (layer_norm, (M, V, V)),
    (attention, (M, M + 0.1, M)),
    (powers, (np.abs(V) + 0.5, V)),
    (odd_ops, (V,)),
]
