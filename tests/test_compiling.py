"""One switch for torch.compile: what it costs is told, and a compiler that fails is no harm."""

from __future__ import annotations

import warnings

import pytest
import torch

from viewfusion.errors import ViewFusionWarning
from viewfusion.zero123.compiling import COST, Compiled


@pytest.fixture(autouse=True)
def _nothing_compiled(tmp_path, monkeypatch):
    """By anybody before."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()


def function(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.silu(values) * 2 + 1


@pytest.mark.slow
@torch.inference_mode()
def test_compiled_it_gives_the_same_and_tells_what_that_cost():
    said: list[str] = []
    compiled, values = Compiled(function, said.append), torch.linspace(-3, 3, 8).reshape(4, 2)
    assert not said
    for _ in range(2):
        torch.testing.assert_close(compiled(4, values), function(values))
    assert compiled.works
    assert said[0] == COST
    assert said[1].startswith("compiled for 4 rows in ")
    assert len(said) == 2


@torch.inference_mode()
def test_without_a_compiler_it_goes_on_with_one_warning():
    values = torch.ones(4, 2)
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        compiled = Compiled(function, lambda text: None)
        with pytest.warns(ViewFusionWarning, match="the network cannot be compiled here") as warned:
            assert torch.equal(compiled(4, values), function(values))
    assert len(warned) == 1
    assert not compiled.works
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(compiled(2, values[:2]), function(values[:2]))


def test_a_fault_that_is_no_compilers_is_raised(monkeypatch):
    """And out of memory at once, for whoever makes the rows fewer."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    calls = []

    def fails(error):
        calls.append(error)
        raise error

    for error, count in [(TypeError("wrong"), 2), (torch.OutOfMemoryError("CUDA out of memory"), 1)]:
        calls.clear()
        compiled = Compiled(fails, lambda text: None)
        with pytest.raises(type(error)):
            compiled(1, error)
        assert len(calls) == count
        assert compiled.works
