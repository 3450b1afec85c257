"""How a run is computed, not what: options of time and memory go in, checked; of them only ``dtype`` shows in
pictures."""

from __future__ import annotations

from dataclasses import dataclass

from viewfusion.errors import ViewFusionError, did_you_mean

DTYPES = ("auto", "float32", "float16", "bfloat16")
"""What the network may compute in; auto is float16 on CUDA and float32 elsewhere."""


@dataclass(frozen=True)
class Running:
    """See docs/memory.md.

    Args:
        max_batch: rows that go through the network at once, at most; None: as many as there is memory for.
        dtype: one of :data:`DTYPES`.
        compile: have torch compile the network, which takes minutes once and less time a step.
        offload: have only the part of the network in use on the device.

    Raises:
        ViewFusionError: no such type, or no rows at all.
    """

    max_batch: int | None = None
    dtype: str = "auto"
    compile: bool = False
    offload: bool = False

    def __post_init__(self) -> None:
        if self.max_batch is not None and self.max_batch < 1:
            raise ViewFusionError(f"--max-batch must be 1 or more, got {self.max_batch}")
        if self.compile and self.offload:
            raise ViewFusionError("--compile and --offload do not go together; leave one of them out")
        if self.dtype not in DTYPES:
            hint = did_you_mean(self.dtype, DTYPES)
            raise ViewFusionError(
                f"--dtype must be one of {', '.join(DTYPES)}, got {str(self.dtype)[:80]!r}{hint}"
            )
