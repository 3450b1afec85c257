"""Training zero123-nano: what it sees (``views``), its two stages (``autoencoder``, ``diffusion``), the loop
they share (``loop``), what is kept between runs (``state``) and looked at meanwhile (``watch``).

:mod:`train_nano` is the command.
"""
