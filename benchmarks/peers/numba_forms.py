"""Gradients derived and fused by hand, compiled by numba: one pass over the data, with fast-math."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

ONE, HALF = np.float32(1.0), np.float32(0.5)
GELU, CUBIC = np.float32((2.0 / math.pi) ** 0.5), np.float32(0.044715)


def form(name: str, *, parallel: bool) -> Callable[..., Any] | None:
    """The function for a workload, None where there is none."""
    make = {
        "backprop221": _backprop221, "elementwise_chain": _chain, "rosenbrock": _rosenbrock,
        "blackscholes": _blackscholes, "logreg": _logreg,
    }.get(name)  # fmt: skip
    return make(parallel) if make else None


def _backprop221(parallel: bool) -> Callable[..., Any]:
    @numba.njit(fastmath=True)
    def core(w, v, x, y):
        z0, z1 = w[0, 0] * x[0] + w[0, 1] * x[1], w[1, 0] * x[0] + w[1, 1] * x[1]
        a0, a1 = max(z0, 0.0), max(z1, 0.0)
        y_hat = 1.0 / (1.0 + math.exp(-(v[0] * a0 + v[1] * a1)))
        d = y_hat - y
        d0, d1 = d * v[0] if z0 > 0 else 0.0, d * v[1] if z1 > 0 else 0.0
        by_w, by_v = np.empty((2, 2)), np.empty(2)
        by_v[0], by_v[1] = d * a0, d * a1
        by_w[0, 0], by_w[0, 1], by_w[1, 0], by_w[1, 1] = d0 * x[0], d0 * x[1], d1 * x[0], d1 * x[1]
        return -(y * math.log(y_hat) + (1.0 - y) * math.log(1.0 - y_hat)), by_w, by_v

    def call(w: Any, x: Any, y: Any) -> Any:
        value, by_w, by_v = core(w["hidden"], w["out"], x, float(y))
        return value, {"hidden": by_w, "out": by_v}

    return call


def _chain(parallel: bool) -> Callable[..., Any]:
    @numba.njit(fastmath=True, inline="always")
    def gelu(u):
        t = math.tanh(GELU * (u + CUBIC * u * u * u))
        slope = HALF * (ONE + t) + HALF * u * (ONE - t * t) * GELU * (ONE + np.float32(3.0) * CUBIC * u * u)
        return HALF * u * (ONE + t), slope

    @numba.njit(fastmath=True, inline="always")
    def softplus(z):
        e = math.exp(-abs(z))
        return max(z, np.float32(0.0)) + math.log1p(e), (ONE if z > 0 else e) / (ONE + e)

    @numba.njit(fastmath=True, parallel=parallel)
    def core(w, bias, x):
        by_w, by_bias, value = np.empty_like(w), np.empty_like(bias), 0.0
        scale = np.float32(2.5) / np.float32(x.size)
        for i in numba.prange(x.size):
            g, d_g = gelu(w[i] * x[i] + bias[i])
            t = math.tanh(np.float32(1.5) * g - np.float32(0.25))
            s, d_s = softplus(t * x[i])
            r, d_r = gelu(s - HALF)
            a = math.tanh(r)
            q, d_q = softplus(np.float32(1.25) * a)
            value += q * q
            d = scale * q * d_q * (ONE - a * a) * d_r * d_s * x[i] * (ONE - t * t) * np.float32(1.5) * d_g
            by_bias[i], by_w[i] = d, d * x[i]
        return value / x.size, by_w, by_bias

    def call(p: Any, x: Any) -> Any:
        value, by_w, by_bias = core(p["w"], p["bias"], x)
        return value, {"bias": by_bias, "w": by_w}

    return call


def _rosenbrock(parallel: bool) -> Callable[..., Any]:
    @numba.njit(fastmath=True, parallel=parallel)
    def core(x):
        last = x.size - 1
        g, first_rise, last_rise = np.empty_like(x), x[1] - x[0] * x[0], x[last] - x[last - 1] * x[last - 1]
        g[0] = -400.0 * first_rise * x[0] - 2.0 * (1.0 - x[0])
        g[last] = 200.0 * last_rise
        value = 100.0 * first_rise * first_rise + (1.0 - x[0]) ** 2
        for i in numba.prange(1, last):
            before, rise = x[i] - x[i - 1] * x[i - 1], x[i + 1] - x[i] * x[i]
            value += 100.0 * rise * rise + (1.0 - x[i]) ** 2
            g[i] = 200.0 * before - 400.0 * rise * x[i] - 2.0 * (1.0 - x[i])
        return value, g

    def call(p: Any) -> Any:
        value, gradient = core(p["x"])
        return value, {"x": gradient}

    return call


def _blackscholes(parallel: bool) -> Callable[..., Any]:
    root_half, density = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)

    @numba.njit(fastmath=True, parallel=parallel)
    def core(strike, price, time, rate, sigma):
        by_strike, by_price, by_time = np.empty_like(strike), np.empty_like(strike), np.empty_like(strike)
        by_rate, by_sigma, value = np.empty_like(strike), np.empty_like(strike), 0.0
        for i in numba.prange(strike.size):
            root = math.sqrt(time[i])
            spread = sigma[i] * root
            d1 = (math.log(price[i] / strike[i]) + (rate[i] + 0.5 * sigma[i] * sigma[i]) * time[i]) / spread
            n1 = 0.5 * (1.0 + math.erf(d1 * root_half))
            n2 = 0.5 * (1.0 + math.erf((d1 - spread) * root_half))
            discount = math.exp(-rate[i] * time[i])
            owed = strike[i] * discount * n2
            vega = price[i] * density * math.exp(-0.5 * d1 * d1) * root
            value += price[i] * n1 - owed
            by_strike[i], by_price[i], by_rate[i], by_sigma[i] = -discount * n2, n1, time[i] * owed, vega
            by_time[i] = 0.5 * vega * sigma[i] / time[i] + rate[i] * owed
        return value, by_price, by_rate, by_sigma, by_strike, by_time

    def call(p: Any) -> Any:
        value, *gradients = core(p["strike"], p["price"], p["time"], p["rate"], p["sigma"])
        return value, dict(zip(("price", "rate", "sigma", "strike", "time"), gradients, strict=True))

    return call


def _logreg(parallel: bool) -> Callable[..., Any]:
    @numba.njit(fastmath=True)
    def rows(w, bias, x, y, start, stop):
        """One pass over the rows for value and gradient."""
        by_w, by_bias, value = np.zeros(w.size), 0.0, 0.0
        for i in range(start, stop):
            z = bias
            for j in range(w.size):
                z += x[i, j] * w[j]
            z *= -y[i]
            e = math.exp(-abs(z))
            value += max(z, 0.0) + math.log1p(e)
            d = -y[i] * (1.0 if z > 0 else e) / (1.0 + e)
            by_bias += d
            for j in range(w.size):
                by_w[j] += d * x[i, j]
        return value, by_w, by_bias

    @numba.njit(fastmath=True, parallel=True)
    def split(w, bias, x, y, parts):
        values, by_w, by_bias = np.zeros(parts), np.zeros((parts, w.size)), np.zeros(parts)
        for t in numba.prange(parts):
            values[t], by_w[t], by_bias[t] = rows(w, bias, x, y, t * len(y) // parts, (t + 1) * len(y) // parts)
        return values.sum(), by_w.sum(axis=0), by_bias.sum()

    def call(p: Any, x: Any, y: Any) -> Any:
        w, bias, count = p["w"], float(p["bias"]), len(y)
        if parallel:
            value, by_w, by_bias = split(w, bias, x, y, numba.get_num_threads())
        else:
            value, by_w, by_bias = rows(w, bias, x, y, 0, count)
        return value / count + 0.005 * (w @ w), {"bias": by_bias / count, "w": by_w / count + 0.01 * w}

    return call
