"""What is told of reconstruction: objects whose shape is known go in, scores, tables and sheets come out.

``scenes`` and ``solids`` are objects in closed form and their surfaces, ``subjects`` all objects with true
views and true meshes, ``spins`` what a model makes of them, ``runs`` the command under measurement, ``scores``
what its meshes are worth, ``bench`` does it object by object, ``results``, ``sheets`` and ``page`` tell it.
"""
