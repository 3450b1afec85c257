"""Training zero123-nano: what it sees (``views``), its stages (``autoencoder``, ``tower``, ``diffusion``),
their loop (``loop``), what is kept between runs (``state``) and looked at meanwhile (``watch``).

:mod:`train_nano` is the command.
"""
