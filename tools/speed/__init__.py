"""What a spin costs: variants of the pipeline go in, times, counts, memory and their tables come out.

``naive`` is the baseline, ``spins`` runs variants side by side and ``steps`` single steps of networks too
large for that, ``growth`` looks at long runs; ``stages``, ``memory`` and ``host`` are what they measure with,
``full_size`` is a network, ``tables`` and ``page`` tell what was found.
"""
