"""Distributions of scipy.stats in traced functions: frozen ones, what is refused, and what is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from scipy.stats import _distn_infrastructure, norm, poisson

import gradc
from gradc.errors import TraceError


def test_a_frozen_distribution_may_have_traced_parameters() -> None:
    x = np.array([0.3, -1.0, 2.5])

    def loss(mean, scale):
        return -np.sum(norm(mean, scale=scale).logpdf(x))

    value, (by_mean, by_scale) = gradc.value_and_grad(loss, wrt=(0, 1))(0.5, 1.7)
    assert value == pytest.approx(loss(0.5, 1.7), rel=1e-15)
    assert by_mean == pytest.approx(-np.sum(x - 0.5) / 1.7**2, rel=1e-14)
    assert by_scale == pytest.approx(3 / 1.7 - np.sum((x - 0.5) ** 2) / 1.7**3, rel=1e-14)


def test_a_frozen_distribution_of_outside_takes_traced_points() -> None:
    outside = norm(0.5, 1.7)
    counts = poisson(3.5)
    x = np.array([0.0, 1.0, 4.0])
    assert gradc.jit(outside.logpdf)(x) == pytest.approx(outside.logpdf(x), rel=1e-15)
    assert gradc.jit(lambda x: counts.pmf(x))(x) == pytest.approx(counts.pmf(x), rel=1e-14)


def test_a_score_and_its_information_at_every_order() -> None:
    def log_likelihood(rate):
        return np.sum(poisson.logpmf(np.array([2, 0, 5]), rate))

    assert gradc.grad(log_likelihood)(1.6) == pytest.approx(7 / 1.6 - 3, rel=1e-14)
    assert gradc.grad(gradc.grad(log_likelihood))(1.6) == pytest.approx(-7 / 1.6**2, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: scipy.stats.skewnorm.pdf(x, 2.0), "the distribution skewnorm is not supported .* norm, pareto"),
        (lambda x: scipy.stats.binom.ppf(x, 5, 0.5), r"binom\.ppf is not supported .* supported are pmf, logpmf, cdf"),
        (lambda x: scipy.stats.poisson.ppf(x, 2.0), r"poisson\.ppf is not supported .* supported are pmf, logpmf, cdf"),
        (lambda x: norm.logpdf(x, locs=1.0), r"scipy\.stats\.norm: the parameter locs="),
        (lambda x: norm.logpdf(x, 0.0, 1.0, 2.0), r"scipy\.stats\.norm: too many positional arguments"),
        (lambda x: norm(x, 1.0).rvs(3), "random"),
        (lambda x: scipy.stats.multivariate_normal.pdf(x, cov=np.eye(2)), r"points of shape \(3,\) for 2 dimensions"),
        (lambda x: scipy.stats.dirichlet.pdf(x, np.ones(7)), r"points of shape \(3,\) for 7 dimensions"),
    ],
)
def test_refusals_name_the_distribution_and_the_line(call, message) -> None:
    with pytest.raises((TraceError, gradc.errors.ShapeError), match=f"{message}.*test_families.py:"):
        gradc.jit(call)(np.array([0.3, 0.2, 0.5]))


log_density = norm.logpdf


def test_methods_may_have_names_of_their_own() -> None:
    densities = {"poisson": poisson.pmf}
    x = np.array([0.0, 1.0, 4.0])
    assert gradc.jit(lambda x: log_density(x, 0.5))(x) == pytest.approx(norm.logpdf(x, 0.5), rel=1e-15)
    assert gradc.jit(lambda x: densities["poisson"](x, 2.5))(x) == pytest.approx(poisson.pmf(x, 2.5), rel=1e-14)
    assert gradc.jit(norm.cdf)(x) == pytest.approx(norm.cdf(x), rel=1e-15)


def test_a_function_that_is_told_may_be_compiled_itself() -> None:
    x = np.array([0.3, 1.0, 4.0])
    assert gradc.grad(scipy.special.logsumexp)(x) == pytest.approx(scipy.special.softmax(x), rel=1e-15)


class Halved(type(norm)):
    """A family of the user's, under the name of another."""

    def _logpdf(self, x):
        return super()._logpdf(x) - np.log(2)


def test_a_family_of_the_user_is_not_taken_for_another() -> None:
    halved = Halved(name="norm")
    with pytest.raises(TraceError, match="the distribution norm is not supported"):
        gradc.jit(lambda x: halved.logpdf(x))(np.ones(2))


def test_the_methods_are_scipys_again_after_a_trace() -> None:
    before = vars(_distn_infrastructure.rv_continuous)["logpdf"]
    seen = []

    def traced(x):
        seen.append(vars(_distn_infrastructure.rv_continuous)["logpdf"])
        return norm.logpdf(x) + norm.logpdf(0.5)

    assert gradc.jit(traced)(0.5) == pytest.approx(2 * norm.logpdf(0.5), rel=1e-15)
    assert seen[0] is not before
    assert vars(_distn_infrastructure.rv_continuous)["logpdf"] is before


def test_a_singular_covariance_has_a_density_where_it_reaches() -> None:
    normal = scipy.stats.multivariate_normal
    cov = np.diag([1.0, 2.0, 0.0])
    points = np.array([[0.3, -1.0, 0.5], [0.3, -1.0, 0.6]])
    mean = np.array([0.1, 0.2, 0.5])
    outside = normal(mean, cov, allow_singular=True)
    for density in (lambda x, m: normal.logpdf(x, m, cov, allow_singular=True), lambda x, m: outside.logpdf(x)):
        assert gradc.jit(density)(points, mean) == pytest.approx(density(points, mean), rel=1e-14)
        slope = gradc.grad(lambda x, m, density=density: density(x, m))(points[0], mean)
        assert slope == pytest.approx([-0.2, 0.6, 0.0], rel=1e-14)
    assert gradc.jit(density)(points, mean)[1] == -np.inf


def test_a_covariance_that_is_not_positive_definite_is_refused_when_it_runs() -> None:
    kernel = gradc.jit(lambda x, cov: scipy.stats.multivariate_normal.logpdf(x, cov=cov))
    with pytest.raises(gradc.errors.MatrixError, match="not positive definite"):
        kernel(np.ones(2), -np.eye(2))
