"""Arguments that are arrays of other libraries: a stand-in that speaks the protocol, and no more."""

from __future__ import annotations

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError


class Tensor:
    """An array of another library."""

    def __init__(self, array, refusal=""):
        self.array, self.refusal = array, refusal

    def __dlpack__(self, **options):
        if self.refusal:
            raise BufferError(self.refusal)
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_they_are_read_where_they_stand(backend):
    double = gradc.jit(lambda w, x: w["a"] * x, backend=backend)
    own = np.arange(3.0)
    for _ in range(4):
        made = double({"a": Tensor(own)}, Tensor(np.full(3, 2.0)))
        assert type(made) is np.ndarray
        assert np.array_equal(made, 2 * own)
        own += 1.0


def test_one_whose_memory_cannot_be_read_is_refused():
    double = gradc.jit(lambda w: w["a"] * 2.0)
    with pytest.raises(ArgumentError) as error:
        double({"a": Tensor(np.ones(3), "It lives elsewhere.")})
    assert str(error.value).startswith(
        "argument w['a'] is a tests.Tensor whose memory NumPy cannot read: It lives elsewhere; pass an array"
    )
